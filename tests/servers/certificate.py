"""A certificate for servers on this machine, signed by itself."""

import subprocess
from pathlib import Path


def new_certificate(folder: Path, name: str = "IP:127.0.0.1") -> tuple[Path, Path]:
    """For that name alone; the file of the certificate, and that of its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    names = ["-subj", "/CN=server", "-addext", f"subjectAltName={name}"]
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*new, *names, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key
