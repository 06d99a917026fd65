//! Transfer codings: `chunked` is understood, and no message goes on without the name of another.

use super::*;

#[test]
fn a_request_with_another_coding_than_chunked_is_501() {
    let (gateway, a) = start();
    for codings in [
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Connection: transfer-encoding\r\nTransfer-Encoding: x, Chunked",
    ] {
        let mut connection = Connection::open(gateway.address);
        connection.write(format!(
            "POST / HTTP/1.1\r\nHost: x\r\n{codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ));
        let response = connection.response();
        assert_eq!(response.status, 501, "{codings:?}: {response:?}");
        assert!(!response.head.has("set-cookie"));
    }
    assert_eq!(a.count(), 0);
}

#[test]
fn a_request_in_which_chunked_is_not_the_last_coding_is_400() {
    let (gateway, a) = start();
    for codings in ["chunked, gzip", "gzip", "chunked;a=b"] {
        let mut connection = Connection::open(gateway.address);
        connection.write(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        ));
        assert_eq!(connection.response().status, 400, "{codings:?}");
    }
    assert_eq!(a.count(), 0);
}

#[test]
fn an_answer_with_another_coding_than_chunked_is_502_without_a_cookie() {
    let (gateway, a) = start();
    for codings in ["gzip, chunked", "gzip", "chunked, chunked", "chunked\r\nTransfer-Encoding: br"]
    {
        a.answers(Answer::BytesAndClose(
            format!(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: {codings}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            )
            .into(),
        ));
        let response = gateway.visit();
        assert_eq!((response.status, response.outcome()), (502, "gave_up".into()), "{codings:?}");
        assert!(!response.head.has("set-cookie") && !response.head.has("transfer-encoding"));
    }
}

#[test]
fn chunked_is_understood_in_every_spelling() {
    let (gateway, a) = start();
    for coding in ["chunked", "Chunked", " CHUNKED\t", ", ,chunked"] {
        let body = format!("Transfer-Encoding: {coding}\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        a.answers(Answer::Bytes(format!("HTTP/1.1 200 OK\r\n{body}").into()));
        let mut connection = Connection::open(gateway.address);
        connection.write(format!("POST / HTTP/1.1\r\nHost: x\r\n{body}"));
        assert_eq!(connection.response().text(), "hello", "{coding:?}");
        assert_eq!(a.last().body, b"hello", "{coding:?}");
    }
}
