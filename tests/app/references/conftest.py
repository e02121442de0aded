from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.settings import Settings
from tests.app.references.registry import ACCESS, BASIC, REGION, SECRET, TOKEN, Registry, running
from tests.app.serving import Served, serving

ALLOWED = "hf://org/,models:/,s3://bucket/nets/"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with running() as registry:
        yield registry


@pytest.fixture
def referring(settings: Settings, registry: Registry) -> Settings:
    """Settings that know the registry."""
    return settings.model_copy(
        update={
            "references": ALLOWED,
            "reference_private_hosts": "localhost",
            "hf_endpoint": registry.url,
            "hf_token": TOKEN,
            "mlflow_tracking_uri": f"{registry.url}/",
            "mlflow_authorization": BASIC,
            "s3_endpoint": registry.url,
            "s3_region": REGION,
            "s3_access_key_id": ACCESS,
            "s3_secret_access_key": SECRET,
        }
    )


@pytest.fixture
def served(referring: Settings) -> Iterator[Served]:
    with serving(referring) as running_service:
        yield running_service


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return path
