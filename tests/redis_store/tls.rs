//! TLS to a real `redis-server`, with certificates that `openssl` makes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use session_affinity::limits::StoreDeadline;
use session_affinity::store::{InvalidRedisTls, Record, RedisError, RedisStore, RedisTls};

use crate::client::*;
use crate::redis_server::{RedisServer, SECOND_PORT};
use crate::store_laws::endpoint;
use crate::support::shop;

/// Two authorities, and what the first one has signed: a server at 127.0.0.1, and a client.
fn certificates() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("session-affinity-tls-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        for name in ["ca", "other"] {
            let (file, key_file, subject) =
                (format!("{name}.pem"), format!("{name}.key"), format!("/CN={name}"));
            let rest = ["-keyout", &key_file, "-out", &file, "-days", "2", "-subj", &subject];
            openssl(&directory, &[&["req", "-x509"][..], &key, &rest].concat());
        }
        for (name, extensions) in [
            ("server", "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n"),
            ("client", "subjectAltName=DNS:gateway\nbasicConstraints=CA:FALSE\n"),
        ] {
            std::fs::write(directory.join(format!("{name}.ext")), extensions).unwrap();
            let (file, key_file, subject) =
                (format!("{name}.pem"), format!("{name}.key"), format!("/CN={name}"));
            let (request, extensions) = (format!("{name}.csr"), format!("{name}.ext"));
            let rest = ["-keyout", &key_file, "-out", &request, "-subj", &subject];
            openssl(&directory, &[&["req", "-new"][..], &key, &rest].concat());
            openssl(
                &directory,
                &[
                    "x509",
                    "-req",
                    "-in",
                    &request,
                    "-CA",
                    "ca.pem",
                    "-CAkey",
                    "ca.key",
                    "-CAcreateserial",
                    "-days",
                    "2",
                    "-extfile",
                    &extensions,
                    "-out",
                    &file,
                ],
            );
        }
        directory
    })
}

fn openssl(directory: &Path, arguments: &[&str]) {
    let status = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let status = status.expect("openssl, which makes the certificates: apt-get install openssl");
    assert!(status.success(), "openssl {arguments:?}");
}

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(certificates().join(name)).unwrap()
}

/// A server with TLS on its second port. `clients` is `yes` where they need a certificate.
fn server(clients: &str) -> RedisServer {
    let file = |name: &str| certificates().join(name).display().to_string();
    RedisServer::start_with(&[
        "--tls-port",
        SECOND_PORT,
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
        "--tls-auth-clients",
        clients,
    ])
}

fn client(server: &RedisServer, tls: RedisTls) -> Client {
    let url = format!("rediss://127.0.0.1:{}", server.second_port());
    let store = RedisStore::new(shop(), &url).unwrap().with_tls(tls).unwrap();
    Client { store: store.with_deadline(StoreDeadline::MAX).into(), runtime: runtime() }
}

fn of_our_authority() -> RedisTls {
    RedisTls::new().with_authorities(&pem("ca.pem")).unwrap()
}

#[test]
fn sessions_are_kept_over_tls_without_any_preparation_of_the_process() {
    let mut server = server("no");
    let client = client(&server, of_our_authority());
    assert_eq!(client.connect(), Ok(()));
    client.save(create(1, 7)).unwrap();
    client.save(replace(1, 8)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(8)));
    assert_eq!(server.keys(), [RAW_KEY]);
    assert!(format!("{:?}", client.store).contains("(TLS)"));
    server.go_down();
    assert!(client.load(1).is_err());
    server.come_back();
    client.wait_until_it_answers();
    assert_eq!(client.load(1), Ok(Record::Absent));
}

/// The reason in an error, which the first call waits for and the others know.
fn refusal(client: &Client) -> String {
    let error = client.connect().unwrap_err();
    let ((), elapsed) = timed(|| (0..20).for_each(|_| assert!(client.load(1).is_err())));
    assert!(elapsed < Duration::from_secs(2), "each call waits: {elapsed:?}");
    assert!(matches!(error, RedisError::Unconnected(_)), "{error:?}");
    error.to_string()
}

#[test]
fn a_server_is_not_trusted_without_the_word_of_an_authority() {
    let server = server("no");
    let other = RedisTls::new().with_authorities(&pem("other.pem")).unwrap();
    for tls in [other, RedisTls::new()] {
        let reason = refusal(&client(&server, tls));
        assert!(reason.contains("certificate"), "{reason}");
    }
}

#[test]
fn a_server_is_not_trusted_under_another_name() {
    let server = server("no");
    let url = format!("rediss://localhost:{}", server.second_port());
    let store = RedisStore::new(shop(), &url).unwrap().with_tls(of_our_authority()).unwrap();
    let client = Client { store: store.into(), runtime: runtime() };
    let reason = refusal(&client);
    assert!(reason.contains("certificate not valid for name"), "{reason}");
}

#[test]
fn a_server_that_asks_for_a_certificate_is_given_one() {
    let server = server("yes");
    refusal(&client(&server, of_our_authority()));
    let tls = of_our_authority();
    let tls = tls.with_client_certificate(&pem("client.pem"), &pem("client.key")).unwrap();
    let client = client(&server, tls);
    assert_eq!(client.connect(), Ok(()));
    client.save(create(1, 7)).unwrap();
    assert_eq!(client.pinned(1), Some(endpoint(7)));
}

#[test]
fn a_url_of_the_other_protocol_is_not_connected() {
    let server = server("no");
    refusal(&Client::at(&format!("redis://127.0.0.1:{}", server.second_port())));
    let url = format!("rediss://127.0.0.1:{}", server.port());
    let store = RedisStore::new(shop(), &url).unwrap().with_tls(of_our_authority()).unwrap();
    refusal(&Client { store: store.into(), runtime: runtime() });
}

#[test]
fn certificates_that_cannot_be_used_are_refused_and_not_shown() {
    let tls = RedisTls::new;
    for bad in [&b""[..], b"hunter2", &pem("ca.key"), b"-----BEGIN CERTIFICATE-----\nhunter2"] {
        assert_eq!(tls().with_authorities(bad).unwrap_err(), InvalidRedisTls::Authorities);
        assert_eq!(
            tls().with_client_certificate(bad, &pem("client.key")).unwrap_err(),
            InvalidRedisTls::Certificate
        );
    }
    for bad in [&b""[..], b"hunter2", &pem("client.pem"), &pem("server.key")] {
        assert_eq!(
            tls().with_client_certificate(&pem("client.pem"), bad).unwrap_err(),
            InvalidRedisTls::Key
        );
    }
    let both = of_our_authority();
    let both = both.with_client_certificate(&pem("client.pem"), &pem("client.key")).unwrap();
    assert_eq!(
        format!("{both:?}"),
        "RedisTls { authorities: Some(1), has_client_certificate: true, .. }"
    );
    let plain = RedisStore::new(shop(), "redis://127.0.0.1").unwrap();
    let error = plain.with_tls(RedisTls::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "certificates are given, and the URL is one without TLS; allowed: rediss://"
    );
}
