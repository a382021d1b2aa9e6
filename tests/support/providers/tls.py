"""An authority of a test's own, and a certificate for 127.0.0.1 by it."""
import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    def __init__(self, folder=None):
        self.own = None if folder else tempfile.TemporaryDirectory(prefix="mayday-ca-")
        self.folder = Path(folder or self.own.name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mayday tests")])
        self.certificate = self.sign(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0), None)
        self.file(self.folder)
        self.server = self.issue()

    def sign(self, subject, public, constraints, addresses, days=1):
        now = datetime.datetime.utcnow()
        made = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public)
                .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=2))
                .not_valid_after(now + datetime.timedelta(days=days)).add_extension(constraints, critical=True))
        if addresses:
            made = made.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        return made.sign(self.key, hashes.SHA256())

    def issue(self, host="127.0.0.1", days=1):
        """A file with a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            address = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            address = x509.DNSName(host)
        made = self.sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]), key.public_key(),
                         x509.BasicConstraints(ca=False, path_length=None), [address], days)
        at = self.folder / f"server-{host}-{days}.pem"
        at.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return at

    def file(self, folder):
        """The authority's certificate, as a file in that folder."""
        at = Path(folder) / "providers-ca.pem"
        at.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return at

    def context(self):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.server)
        return made
