"""Where packages come from, as the tools of this machine are set up: pip, uv, npm, apt, netrc, and proxies.

Prints lines for runner/indexes.c: `policy LINE` for vitrine-egress (egress/policy.h), `env NAME=VALUE` for builds, `ca PATH`,
and `links PATH` for each folder of packages, which builds see at LINKS with its number behind.
What a build is told holds no credentials: an index that needs some is http://HOST there, and the policy has its login."""
import base64
import configparser
import glob
import json
import netrc
import os
import re
import sys
from urllib.parse import unquote, urlsplit

try:
    import tomllib
except ImportError:
    tomllib = None

E = os.environ
HOME = os.path.expanduser("~")
CONFIG = E.get("XDG_CONFIG_HOME") or HOME + "/.config"
PYPI = "https://pypi.org/simple"
NPM = "https://registry.npmjs.org/"
LINKS = "/run/vitrine/links/"
policy, env, warnings, logins, folders = [], {}, [], {}, []


def warn(text):
    warnings.append(" ".join(text.split()))


def readable(path):
    return bool(path) and os.path.isfile(path) and os.access(path, os.R_OK)


def port_of(parts):
    return parts.port or {"https": 443, "http": 80}[parts.scheme]


def allow(host, *ports, inside=True):
    """What somebody wrote into a configuration of this machine may be inside; what is only everybody's default may not."""
    policy.append(f"allow {host} {','.join(str(p) for p in ports)}{' inside' if inside else ''}")


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def netrc_login(host):
    path = E.get("NETRC") or HOME + "/.netrc"
    if not readable(path):
        return None
    try:
        found = netrc.netrc(path).authenticators(host)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError):
        warn("the netrc file cannot be read")
        return None
    return basic(found[0] or "", found[2] or "") if found else None


def door(url, login=None):
    """The URL as a build may see it; None where it is none of ours. Its host is allowed, its login is kept for the proxy."""
    try:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url.strip()):
            return None
        port = port_of(parts)
    except ValueError:
        return None
    host = parts.hostname
    if ":" in host:
        host = f"[{host}]"
    if parts.username is not None:
        login = basic(unquote(parts.username), unquote(parts.password or ""))
    login = login or logins.get((parts.scheme, host, port)) or netrc_login(parts.hostname)
    allow(host, *sorted({port, 443 if parts.scheme == "https" else 80}), inside=url not in (PYPI, NPM))
    scheme = parts.scheme
    if login:
        logins[(parts.scheme, host, port)] = login
        scheme = "http"
    usual = {"https": 443, "http": 80}[parts.scheme]
    return parts._replace(scheme=scheme, netloc=host if port == usual else f"{host}:{port}").geturl()


# ---- pip

def pip_settings():
    files = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", HOME + "/.pip/pip.conf", CONFIG + "/pip/pip.conf"]
    if E.get("PIP_CONFIG_FILE") == os.devnull:
        files = []
    elif E.get("PIP_CONFIG_FILE"):
        files.append(E["PIP_CONFIG_FILE"])
    out = {}
    for path in filter(readable, files):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except (configparser.Error, UnicodeDecodeError, OSError):
            warn("a configuration file of pip cannot be read")
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                out.update({k.replace("_", "-"): v for k, v in parser.items(section)})
    for key in ("index-url", "extra-index-url", "find-links", "cert", "no-index"):
        value = E.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            out[key] = value
    return out


def folder(path):
    """A local folder with packages, as a build sees it; None where it is none."""
    path = os.path.realpath(re.sub("^file://(localhost)?(?=/)", "", path))
    if not os.path.isdir(path) or re.search(r"[\s:,]", path) or len(folders) == 8:
        warn("a folder of find-links is not there, or its path has a blank, comma or colon")
        return None
    if path not in folders:
        folders.append(path)
    return LINKS + str(folders.index(path))


def urls(text):
    return [u for u in (text or "").split() if u]


def pip():
    s = pip_settings()
    index = E.get("VITRINE_BUILD_INDEX") or s.get("index-url") or PYPI
    extra = [] if E.get("VITRINE_BUILD_INDEX") else urls(s.get("extra-index-url"))
    if s.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        env["PIP_NO_INDEX"] = "1"
    index, extra = door(index), list(filter(None, map(door, extra)))
    if index:
        env["PIP_INDEX_URL"] = index
    if extra:
        env["PIP_EXTRA_INDEX_URL"] = " ".join(extra)
    links = ([E["VITRINE_BUILD_LINKS"]] if E.get("VITRINE_BUILD_LINKS") else []) + urls(s.get("find-links"))
    links = [x for x in (door(u) if u.startswith("http") else folder(u) for u in links) if x]
    if links:
        env["PIP_FIND_LINKS"] = " ".join(links)
        env["UV_FIND_LINKS"] = ",".join(links)
    return index, extra, s


# ---- uv

def uv_settings():
    if not tomllib:
        return {}
    out = {}
    for path in filter(readable, ["/etc/xdg/uv/uv.toml", "/etc/uv/uv.toml", CONFIG + "/uv/uv.toml", E.get("UV_CONFIG_FILE")]):
        try:
            with open(path, "rb") as f:
                data = tomllib.load(f)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
            warn("a configuration file of uv cannot be read")
            continue
        out.update(data.get("pip") or {})
        out.update({k: v for k, v in data.items() if k != "pip"})
    return out


def named(text):
    """NAME=URL or URL, with the login that the environment has for NAME"""
    name, sep, url = text.partition("=")
    if not sep or "/" in name:
        return door(text)
    return uv_index({"name": name, "url": url})


def uv_index(i):
    word = re.sub(r"[^A-Z0-9]", "_", str(i.get("name", "")).upper())
    user, password = E.get(f"UV_INDEX_{word}_USERNAME"), E.get(f"UV_INDEX_{word}_PASSWORD")
    return door(str(i.get("url", "")), basic(user or "", password or "") if word and (user or password) else None)


def uv(pip_index, pip_extra):
    s = uv_settings()
    indexes = [i for i in s.get("index") or [] if isinstance(i, dict)]
    default = next((uv_index(i) for i in indexes if i.get("default")), None)
    extra = [uv_index(i) for i in indexes if not i.get("default")]
    default = door(E.get("UV_DEFAULT_INDEX") or E.get("UV_INDEX_URL") or "") or default or door(str(s.get("index-url") or ""))
    extra += [door(str(u)) for u in s.get("extra-index-url") or []]
    extra += [named(u) for u in urls(E.get("UV_INDEX"))] + [door(u) for u in urls(E.get("UV_EXTRA_INDEX_URL"))]
    extra = [u for u in extra if u]
    if E.get("VITRINE_BUILD_INDEX") or not (default or extra):
        default, extra = pip_index, pip_extra
    if default or pip_index:
        env["UV_DEFAULT_INDEX"] = default or pip_index
    if extra:
        env["UV_INDEX"] = " ".join(extra)


# ---- npm

def npm():
    s = {}
    for path in filter(readable, ["/etc/npmrc", "/usr/etc/npmrc", "/usr/local/etc/npmrc", E.get("NPM_CONFIG_USERCONFIG") or HOME + "/.npmrc"]):
        try:
            with open(path, encoding="utf-8") as f:
                lines = f.read().splitlines()
        except (UnicodeDecodeError, OSError):
            warn("a configuration file of npm cannot be read")
            continue
        for line in lines:
            key, sep, value = line.partition("=")
            if sep and not line.lstrip().startswith(("#", ";")):
                value = value.strip().strip("\"'")
                s[key.strip()] = re.sub(r"\$\{(\w+)\}", lambda m: E.get(m.group(1), ""), value)
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        if E.get(name):
            s["registry"] = E[name]

    def login(url):
        parts = urlsplit(url)
        at = f"//{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        while at.startswith("//") and len(at) > 2:
            for base in (at + "/", at):
                if s.get(base + ":_authToken"):
                    return "Bearer " + s[base + ":_authToken"]
                if s.get(base + ":_auth"):
                    return "Basic " + s[base + ":_auth"]
                if s.get(base + ":username") and s.get(base + ":_password"):
                    try:
                        return basic(s[base + ":username"], base64.b64decode(s[base + ":_password"]).decode())
                    except ValueError:
                        warn("a password for npm is not base64")
            if "/" not in at[2:]:
                break
            at = at.rpartition("/")[0]
        return None

    for key, value in [("registry", s.get("registry") or NPM)] + [(k, v) for k, v in s.items() if re.fullmatch(r"@[\w.-]+:registry", k)]:
        try:
            url = door(value, login(value))
        except ValueError:
            url = None
        if url:
            env[f"npm_config_{key}"] = url


# ---- apt

def apt():
    found = set()
    for path in sorted(glob.glob("/etc/apt/sources.list") + glob.glob("/etc/apt/sources.list.d/*")):
        if not path.endswith((".list", ".sources")) or not readable(path):
            continue
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = "\n".join(line for line in f.read().splitlines() if not line.lstrip().startswith("#"))
        except OSError:
            continue
        if path.endswith(".list"):
            found.update(re.findall(r"^\s*deb\s+(?:\[[^\]]*\]\s+)?(https?://\S+)", text, re.M))
        else:
            for value in re.findall(r"^URIs:((?:.*\n?)(?:[ \t]+.*\n?)*)", text, re.M | re.I):
                found.update(u for u in value.split() if u.startswith(("http://", "https://")))
    for url in sorted(found):
        try:
            parts = urlsplit(url)
            if parts.hostname:
                allow(parts.hostname, *sorted({port_of(parts), 80, 443}), inside=not parts.hostname.endswith(".debian.org"))
        except ValueError:
            pass


# ---- the way out itself

def proxies():
    for scheme in ("http", "https"):
        value = E.get(scheme + "_proxy") or E.get(scheme.upper() + "_PROXY" if scheme == "https" else "") or E.get("all_proxy") or E.get("ALL_PROXY")
        if not value:
            continue
        try:
            parts = urlsplit(value if "://" in value else "http://" + value)
            if parts.scheme != "http" or not parts.hostname:
                warn(f"{scheme}_proxy: builds go through proxies of the kind http:// only; this one is not used")
                continue
            login = basic(unquote(parts.username), unquote(parts.password or "")) if parts.username is not None else ""
            policy.append(f"proxy {scheme} {parts.hostname} {parts.port or 80} {login}".rstrip())
        except ValueError:
            warn(f"{scheme}_proxy is no URL")
    no = E.get("no_proxy") or E.get("NO_PROXY")
    if no:
        policy.append("no_proxy " + ",".join(no.replace(",", " ").split())[:2000])


def certificates(pip_cert):
    for path in (pip_cert, E.get("SSL_CERT_FILE"), E.get("REQUESTS_CA_BUNDLE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"):
        if readable(path) and path.startswith("/") and not re.search(r"[\s:]", path):
            return path
    return None


def main():
    index, extra, settings = pip()
    uv(index, extra)
    npm()
    apt()
    proxies()
    trusted = sorted({urlsplit(u).netloc for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS") for u in env.get(name, "").split()
                      if u.startswith("http://")})
    if trusted:
        env["PIP_TRUSTED_HOST"] = " ".join(trusted)
    for (scheme, host, port), login in logins.items():
        policy.append(f"login {scheme} {host} {port} {login}")
    lines = [f"policy {p}" for p in dict.fromkeys(policy)] + [f"env {k}={v}" for k, v in env.items()] + [f"warning {w}" for w in dict.fromkeys(warnings)]
    lines += [f"links {f}" for f in folders]
    ca = certificates(settings.get("cert"))
    if ca:
        lines.append(f"ca {ca}")
    # one line each, whatever a value holds
    sys.stdout.write("".join(line + "\n" for line in lines if json.dumps(line).isascii() and line.isprintable()))


main()
