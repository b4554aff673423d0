"""Certificates for tests, made by openssl: authorities, servers, clients, and such that have expired."""

import os
import subprocess
import tempfile

CONFIG = """[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
copy_extensions = none
[any]
commonName = supplied
[names]
subjectAltName = {names}
"""


class Authority:
    def __init__(self, name="tests"):
        self.folder = tempfile.mkdtemp(prefix="wallaby-ca-")
        self.certificate, self.key = os.path.join(self.folder, "ca.pem"), os.path.join(self.folder, "ca.key")
        self.openssl("req", "-x509", *self.new_key(self.key), "-days", "30", "-subj", f"/CN={name}", "-out", self.certificate)

    @staticmethod
    def new_key(path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", path]

    @staticmethod
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)

    def issue(self, name, subject_names="DNS:localhost,IP:127.0.0.1", expired=False, folder=None):
        """(certificate, key): files for the common name."""
        folder = folder or tempfile.mkdtemp(prefix="wallaby-cert-")
        certificate, key, request = (os.path.join(folder, f) for f in ("tls.crt", "tls.key", "request"))
        config = os.path.join(folder, "config")
        with open(os.path.join(folder, "index"), "w", encoding="utf-8"), open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(folder=folder, names=subject_names))
        self.openssl("req", *self.new_key(key), "-subj", f"/CN={name}", "-out", request)
        times = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if expired else ["-days", "30"]
        self.openssl("ca", "-batch", "-config", config, "-cert", self.certificate, "-keyfile", self.key, "-notext",
                     "-extensions", "names", *times, "-in", request, "-out", certificate)
        return certificate, key
