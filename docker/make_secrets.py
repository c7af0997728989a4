"""Make the secrets of this installation, once: files that exist are left alone.

usage: make_secrets.py FOLDER
"""

import base64
import json
import secrets
import sys
from pathlib import Path

DATABASE_USER = "mlops"


def main(folder: Path) -> None:
    password = write(
        folder / "database/password", secrets.token_urlsafe(32), mode=0o444
    )  # its server runs as another user
    write(folder / "database/pgpass", f"postgres:5432:*:{DATABASE_USER}:{password}\n")
    write(folder / "airflow/fernet-key", base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
    write(folder / "airflow/jwt-secret", secrets.token_urlsafe(48))
    write(folder / "airflow/session-secret", secrets.token_urlsafe(32))
    write(folder / "serving/token", secrets.token_urlsafe(32))
    write(folder / "airflow/passwords.json", json.dumps({"admin": secrets.token_urlsafe(12)}))


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Write the text unless the file exists; return what is in the file."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(text)
        path.chmod(mode)
    return path.read_text()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
