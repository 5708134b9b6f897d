"""Certificates for tests, made in milliseconds: they sign themselves."""
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Pair:
    """`chain` and `key` as PEM, for these DNS names; valid from `age` days ago for `days` from now"""

    def __init__(self, *names, days=30.0, age=1.0, key=None):
        self.names = names
        self.private = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(self.private.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=age))
                   .not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False))
        self.certificate = builder.sign(self.private, hashes.SHA256())
        self.chain = self.certificate.public_bytes(serialization.Encoding.PEM)
        self.der = self.certificate.public_bytes(serialization.Encoding.DER)
        self.key = self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def write(self, folder):
        """As certbot has it; the folder"""
        for name, data in (("privkey.pem", self.key), ("fullchain.pem", self.chain)):
            with open(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
                f.write(data)
        return str(folder)
