/* Every option of Vitrine, once: section, key, type, default (as one writes it in the file), least,
 * most, what it does. struct conf, the sample file, the man page's table and `vitrine config` come
 * from here.
 *
 * X(section, key, TYPE, default, min, max, "text"); TYPE is STR, BOOL, INT, BYTES, MS (duration) or
 * MILLI (a number with up to three decimals, kept in thousandths: cores). The field in struct conf
 * is section_key. min and max are in the field's unit and are ignored for STR and BOOL. */
#pragma once

#define CONF_NEVER UINT64_MAX /* a duration of "never" */
#define CONF_THREADS_MAX 16   /* of the gateway */

#define CONF_OPTIONS(X)                                                                            \
    X(server, data, STR, "./data", 0, 0, "folder that holds everything that must survive")         \
    X(server, listen, STR, "127.0.0.1:8080", 0, 0, "address:port that visitors connect to")        \
    X(server, domain, STR, "localhost", 0, 0,                                                      \
      "host name of the site; Spaces are at OWNER-NAME.DOMAIN")                                    \
    X(server, demo_domain, STR, "", 0, 0,                                                          \
      "parent name of the Spaces' hosts, if it is not `domain`")                                   \
    X(server, allow_insecure_listen, BOOL, "false", 0, 0, "listen beyond loopback without TLS")    \
    X(server, public_url, STR, "", 0, 0,                                                           \
      "the site's URL where a proxy in front changes scheme or port")                              \
    X(server, also_listen, STR, "", 0, 0,                                                          \
      "further sockets: ADDRESS:PORT, unix:PATH [mode=0660] [owner=USER:GROUP] or fd:NAME, each "  \
      "with the word proxy where connections begin with a PROXY header; commas separate")          \
    X(server, trusted_proxies, STR, "", 0, 0,                                                      \
      "addresses of proxies in front whose word on visitors is taken: ADDRESS[/PREFIX], ...")      \
    X(server, proxy_header, STR, "x-forwarded-for", 0, 0,                                          \
      "the field by which they give it: x-forwarded-for (and -proto, -host) or forwarded")         \
    X(server, metrics, STR, "admin", 0, 0,                                                         \
      "who may read the counters at /metrics: admin (by token), or loopback as well")              \
    X(tls, listen, STR, "", 0, 0,                                                                  \
      "address:port for HTTPS, such as 0.0.0.0:443; several as in also_listen; empty: no TLS")     \
    X(tls, certificates, STR, "", 0, 0,                                                            \
      "FOLDER with fullchain.pem and privkey.pem, or CHAIN KEY (two files), ...; chosen by name, " \
      "the first where none fits; empty: a self-signed one, to try it")                            \
    X(tls, min_version, STR, "1.2", 0, 0, "1.2 or 1.3: the oldest TLS that is spoken")             \
    X(tls, http2, BOOL, "true", 0, 0, "HTTP/2 is spoken with visitors who can")                    \
    X(tls, redirect, BOOL, "true", 0, 0, "plain HTTP is sent to HTTPS")                            \
    X(tls, hsts, MS, "0ms", 0, 63072000000,                                                        \
      "browsers are told to use nothing but HTTPS for so long; 0: they are not told")              \
    X(tls, challenges, STR, "", 0, 0,                                                              \
      "folder whose files are served at /.well-known/acme-challenge/ (http-01)")                   \
    X(tls, warn_before, MS, "14d", 0, CONF_NEVER,                                                  \
      "a certificate that ends within this time is warned of")                                     \
    X(log, format, STR, "text", 0, 0, "text or json")                                              \
    X(log, level, STR, "info", 0, 0, "debug, info, warn or error")                                 \
    X(log, access, STR, "off", 0, 0, "a line for each visitor's request: off, combined or json")   \
    X(log, access_file, STR, "", 0, 0, "... in this file; empty: access.log in the data folder")   \
    X(lifecycle, sleep_after, MS, "10m", 100, CONF_NEVER,                                          \
      "an idle worker is put to sleep after this")                                                 \
    X(lifecycle, start_timeout, MS, "30m", 1000, CONF_NEVER,                                       \
      "a start that is not ready by then has failed")                                              \
    X(lifecycle, start_timeout_max, MS, "1h", 1000, CONF_NEVER,                                    \
      "the most that a Space may ask for as its startup_duration_timeout")                         \
    X(lifecycle, stop_grace, MS, "5s", 0, 600000,                                                  \
      "between SIGTERM and the kill of everything in the sandbox")                                 \
    X(lifecycle, drain_timeout, MS, "10m", 0, CONF_NEVER,                                          \
      "an old version's open streams may go on for this long")                                     \
    X(lifecycle, start_tries, INT, "3", 1, 100,                                                    \
      "failed starts in a row of a version, after which it is given up")                           \
    X(lifecycle, crash_limit, INT, "6", 1, 1000,                                                   \
      "crashes within crash_window, after which the Space is given up")                            \
    X(lifecycle, crash_window, MS, "10m", 1000, CONF_NEVER, "see crash_limit")                     \
    X(lifecycle, backoff_first, MS, "500ms", 1, 3600000,                                           \
      "pause before the first restart; doubles each time")                                         \
    X(lifecycle, backoff_max, MS, "1m", 1, 3600000, "longest pause before a restart")              \
    X(lifecycle, max_workers, INT, "200", 0, 100000,                                               \
      "workers that run at the same time (0: versions are built, and nothing is started)")         \
    X(limits, memory, BYTES, "1G", 16777216, UINT64_MAX, "memory of a worker")                     \
    X(limits, cpu, MILLI, "1", 10, 1024000, "CPU cores of a worker")                               \
    X(limits, pids, INT, "256", 4, 100000, "processes and threads of a worker")                    \
    X(limits, io_weight, INT, "100", 1, 1000,                                                      \
      "share of a busy disk, beside the others' shares (schedulers bfq and io.cost)")              \
    X(limits, open_files, INT, "4096", 16, 1048576, "open files of a process")                     \
    X(limits, file_size, BYTES, "2G", 65536, UINT64_MAX, "largest file that a process writes")     \
    X(limits, tmp_size, BYTES, "256M", 65536, UINT64_MAX, "/tmp of a worker")                      \
    X(limits, home_size, BYTES, "512M", 65536, UINT64_MAX,                                         \
      "what a worker may write below /home/user")                                                  \
    X(limits, data_size, BYTES, "5G", 1048576, UINT64_MAX,                                         \
      "what a Space keeps in /data; soft where no project quota is to be had (vitrine check)")     \
    X(limits, data_inodes, INT, "200000", 16, 1000000000, "files and folders in /data of a Space") \
    X(limits, tmp_inodes, INT, "65536", 16, 100000000, "files and folders in /tmp of a worker")    \
    X(limits, home_inodes, INT, "131072", 16, 100000000,                                           \
      "files and folders that a worker may make below /home/user")                                 \
    X(limits, log_size, BYTES, "2M", 65536, 1073741824, "kept run log of one worker")              \
    X(limits, log_rate, BYTES, "256K", 1024, 1073741824,                                           \
      "log bytes a second that are kept; more is dropped and said")                                \
    X(limits, logs_kept, INT, "10", 1, 1000, "run logs kept of each Space")                        \
    X(hardware, flavours, STR, "", 0, 0,                                                           \
      "what owners may choose for their Spaces, by name: NAME: LIMIT=VALUE ...; NAME: ...; gpu=N " \
      "among the limits are whole GPUs")                                                           \
    X(hardware, gpus, STR, "auto", 0, 0,                                                           \
      "the GPUs for those: auto (NVIDIA's /dev/nvidiaN, AMD's /dev/dri/renderDN), none, or a "     \
      "list of devices")                                                                           \
    X(hardware, gpu_common, STR, "auto", 0, 0,                                                     \
      "devices that come with each of them: auto (what the makers' drivers share, such as "        \
      "/dev/nvidiactl and /dev/kfd), none, or a list of devices")                                  \
    X(sandbox, require_cgroup, BOOL, "false", 0, 0,                                                \
      "refuse to start workers where memory, pids and CPU cannot be limited")                      \
    X(sandbox, require_services, BOOL, "true", 0, 0,                                               \
      "refuse to serve where gateway and webui cannot be put into sandboxes of their own")         \
    X(sandbox, services_memory, BYTES, "1G", 67108864, UINT64_MAX,                                 \
      "memory of the gateway, and of webui, where there are control groups")                       \
    X(sandbox, uid_first, INT, "0", 0, 4294901760,                                                 \
      "first host uid of the Spaces' range; 0: /etc/subuid, else 600200000")                       \
    X(sandbox, root, STR, "host", 0, 0,                                                            \
      "host (its /usr, read-only) or a folder with a root file system")                            \
    X(sandbox, root_size, BYTES, "256M", 0, UINT64_MAX,                                            \
      "what a worker may write below /var, /opt, /srv and /usr/local of such a folder; 0: "        \
      "nothing")                                                                                   \
    X(sandbox, python, STR, "/usr/bin/python3", 0, 0,                                              \
      "interpreter of gradio, streamlit and python Spaces")                                        \
    X(network, policy, STR, "none", 0, 0,                                                          \
      "none (a worker's own loopback) or internet (public addresses, no private ones)")            \
    X(network, deny, STR, "", 0, 0,                                                                \
      "further addresses that workers must not reach: ADDRESS[/PREFIX], ...")                      \
    X(network, allow, STR, "", 0, 0,                                                               \
      "exceptions, your mirrors for instance: ADDRESS[/PREFIX][:PORT], ...")                       \
    X(network, bandwidth, BYTES, "16M", 0, 4294967295,                                             \
      "bytes a second of a worker, in and out each; 0: no limit")                                  \
    X(network, connections, INT, "256", 1, 65536, "connections of a worker at the same time")      \
    X(network, new_connections, INT, "50", 1, 100000, "new connections of a worker in a second")   \
    X(upload, max_archive, BYTES, "1G", 1024, UINT64_MAX, "largest archive that is taken")         \
    X(upload, max_regular, BYTES, "512M", 1024, UINT64_MAX,                                        \
      "largest file that huggingface_hub sends within a commit; larger ones go by Git LFS")        \
    X(upload, max_unpacked, BYTES, "4G", 1024, UINT64_MAX, "largest sum of unpacked files")        \
    X(upload, max_files, INT, "100000", 1, 10000000, "most files and folders in a bundle")         \
    X(upload, max_file, BYTES, "4G", 1024, UINT64_MAX,                                             \
      "largest file in git; larger ones are kept in Git LFS")                                      \
    X(upload, max_repository, BYTES, "20G", 1048576, UINT64_MAX,                                   \
      "most that the repository of a Space takes, its LFS objects included")                       \
    X(upload, pack_after, MS, "1m", 100, 86400000,                                                 \
      "a repository that was written to and then left alone for so long is packed, if it needs "   \
      "it")                                                                                        \
    X(upload, keep_unreachable, MS, "14d", 1000, 31536000000,                                      \
      "commits that no branch or tag leads to any more are kept for so long, as are LFS objects "  \
      "that no commit names")                                                                      \
    X(upload, job_timeout, MS, "10m", 1000, 86400000, "longest time for unpacking")                \
    X(upload, transfer_timeout, MS, "1h", 1000, 86400000,                                          \
      "longest time for a clone, or the download of a file")                                       \
    X(build, index, STR, "", 0, 0,                                                                 \
      "URL of the package index; empty: what the host's pip is set to, else PyPI; none: only "     \
      "find_links")                                                                                \
    X(build, hosts, STR, "pypi.org, files.pythonhosted.org, registry.npmjs.org", 0, 0,             \
      "hosts that builds may reach, besides those of the host's pip, uv, npm and apt: "            \
      "HOST[:PORT], *.NAME[:PORT], ...")                                                           \
    X(build, inside_hosts, STR, "", 0, 0,                                                          \
      "... and those whose addresses need not be public: mirrors in the house")                    \
    X(build, max_transfer, BYTES, "20G", 65536, UINT64_MAX,                                        \
      "what one step of a build may transfer, both ways together")                                 \
    X(build, connections, INT, "64", 1, 1024, "connections of a build at the same time")           \
    X(build, parallel, INT, "2", 1, 1000, "builds at the same time; further ones wait in order")   \
    X(build, timeout, MS, "30m", 1000, 86400000, "longest time for resolving and installing")      \
    X(build, memory, BYTES, "4G", 67108864, UINT64_MAX, "memory of a build")                       \
    X(build, cpu, MILLI, "2", 10, 1024000, "CPU cores of a build")                                 \
    X(build, pids, INT, "512", 16, 100000, "processes and threads of a build")                     \
    X(build, size, BYTES, "20G", 1048576, UINT64_MAX,                                              \
      "what a build may take on the disk, with the environment that it makes")                     \
    X(build, inodes, INT, "2000000", 1024, 1000000000, "files and folders that a build may make")  \
    X(build, uv, STR, "auto", 0, 0,                                                                \
      "the installer uv: its path, auto (where PATH has one), or none (pip is used)")              \
    X(build, find_links, STR, "", 0, 0, "folder with wheels that builds may use, too")             \
    X(build, hub, STR, "", 0, 0,                                                                   \
      "URL of the Hugging Face Hub, or of your mirror of it, from which preload_from_hub is "      \
      "filled; empty: it is not")                                                                  \
    X(build, hub_token_file, STR, "", 0, 0,                                                        \
      "file with a token for that hub, which builds never see")                                    \
    X(build, preload_size, BYTES, "20G", 1048576, UINT64_MAX,                                      \
      "most that a Space may have preloaded from the hub")                                         \
    X(build, env_keep, MS, "7d", 1000, CONF_NEVER,                                                 \
      "an environment that no Space's version needs is removed after this")                        \
    X(build, env_size, BYTES, "50G", 1048576, UINT64_MAX,                                          \
      "... and earlier, the longest unused first, while all together take more")                   \
    X(gateway, threads, STR, "auto", 0, 0,                                                         \
      "loops that serve visitors, each in a thread: 1 to 16, or auto: one for each CPU that its "  \
      "affinity and its control groups' limits leave it, up to 8")                                 \
    X(gateway, max_connections, INT, "20000", 16, 1000000, "visitors' connections in all")         \
    X(gateway, max_per_address, INT, "512", 1, 1000000, "visitors' connections of one address")    \
    X(gateway, site_connections, INT, "3000", 1, 4000, "requests to the site at the same time")    \
    X(gateway, site_per_address, INT, "128", 1, 4000,                                              \
      "requests of one address to the site at the same time")                                      \
    X(gateway, header_timeout, MS, "10s", 100, 600000, "absolute deadline for a request's header") \
    X(gateway, idle_timeout, MS, "75s", 100, 3600000,                                              \
      "a kept-alive connection without a request is closed")                                       \
    X(gateway, body_idle_timeout, MS, "60s", 100, 3600000,                                         \
      "a body that moves no further in this time is given up")                                     \
    X(gateway, body_min_rate, BYTES, "500", 0, 1073741824,                                         \
      "bytes a second that a visitor must send or take of a body that waits for it")               \
    X(gateway, connect_timeout, MS, "5s", 100, 600000, "for a connection to a worker")             \
    X(gateway, hold, MS, "60s", 100, 3600000,                                                      \
      "a request that is no navigation waits this long for its Space")                             \
    X(gateway, wait_page_after, MS, "1s", 0, 60000,                                                \
      "a navigation waits this long before it gets the waiting page")                              \
    X(gateway, waiting_per_space, INT, "200", 1, 100000,                                           \
      "requests held for one Space; more get 503")                                                 \
    X(gateway, waiting_total, INT, "2000", 1, 1000000, "requests held in all")                     \
    X(gateway, route_cache, INT, "4096", 16, 1000000, "host names whose route a loop remembers")   \
    X(gateway, upstream_idle, INT, "64", 0, 10000, "idle connections kept to one worker")          \
    X(gateway, drain_timeout, MS, "10m", 0, 86400000,                                              \
      "what a replaced gateway still has (streams, uploads) may go on for this long")
