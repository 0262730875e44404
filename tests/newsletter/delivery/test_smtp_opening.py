"""Before the first mail: login, and TLS that is never given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from newsletter.delivery.crew import Crew
from newsletter.delivery.fates import Fate
from newsletter.delivery.smtp import SmtpRefusedError, SmtpServer, SmtpSession
from tests.newsletter.delivery.test_smtp import Letters, deliver, server_of
from tests.smtp_twin import SmtpTwin


@pytest.mark.parametrize("methods", ["PLAIN LOGIN", "LOGIN", "CRAM-MD5"])
def test_login_works_and_a_wrong_password_says_what_to_check(methods: str) -> None:
    twin = SmtpTwin(login=("me", "right"), methods=methods)
    letters, _ = deliver(twin, ["a@x.test"], user="me", password="right")
    assert letters.fates == {"a@x.test": Fate.ACCEPTED}
    with pytest.raises(SmtpRefusedError, match="EMAIL_URL"):
        SmtpSession(server_of(twin, user="me", password="wrong"))
    twin.close()


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with key and certificate of localhost, which this process trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "server.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return str(path)


def test_mail_goes_through_starttls(certificate: str) -> None:
    twin = SmtpTwin(certificate=certificate)
    letters = Letters([f"{index}@x.test" for index in range(30)])
    server = SmtpServer("localhost", twin.port, starttls=True, timeout_seconds=5)
    assert Crew(2, letters, lambda: SmtpSession(server), SmtpSession.close).run() == ""
    assert twin.counts() == dict.fromkeys(letters.addresses, 1)
    twin.close()


def test_a_certificate_of_another_host_gets_no_mail(certificate: str) -> None:
    twin = SmtpTwin(certificate=certificate)
    with pytest.raises(SmtpRefusedError, match="TLS"):
        SmtpSession(server_of(twin, starttls=True))  # 127.0.0.1 is not localhost
    twin.close()


@pytest.mark.parametrize("answer", ["454 not available", "220 go\r\n250-injected\r\n250 AUTH PLAIN"])
@pytest.mark.parametrize("is_offered", [True, False])
def test_starttls_once_asked_for_is_never_given_up(certificate: str, answer: str, is_offered: bool) -> None:
    """Not when it is stripped from the offer, not when it is refused, not when somebody speaks before TLS begins."""
    twin = SmtpTwin(certificate=certificate, login=("me", "secret"))
    twin.starttls_answer = answer
    if not is_offered:
        twin.features.remove("STARTTLS")
    told: list[str] = []
    twin.on_mail = lambda sender: told.append(sender) or "250 ok"  # type: ignore[func-returns-value]
    server = SmtpServer("localhost", twin.port, "me", "secret", starttls=True, timeout_seconds=5)
    with pytest.raises(SmtpRefusedError, match=r"STARTTLS|before TLS"):
        SmtpSession(server)
    assert told == []
    assert twin.logins == [], "the password is not told in clear"
    twin.close()
