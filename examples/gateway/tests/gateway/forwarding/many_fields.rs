//! An answer may have 512 header lines. Room for more than 100 is made when an endpoint first needs
//! it, and that answer must not be the worse for it.

use super::*;
use crate::support::wait_until;

/// An answer with so many header lines, framing among them.
fn answer(lines: usize, body: &[u8]) -> Vec<u8> {
    let fields: String = (2..lines).map(|line| format!("X-Line: {line}\r\n")).collect();
    let length = body.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nX-Served-By: a\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn an_answer_of_up_to_512_header_lines_passes_whole_the_first_time_too() {
    let body = pattern(300_000);
    for lines in [99, 100, 101, 512] {
        for request in [get("/"), post("/", pattern(100_000))] {
            let (gateway, a) = start();
            a.answers(Answer::Bytes(answer(lines, &body)));
            let mut connection = Connection::open(gateway.address);
            let first = connection.exchange(&request);
            first.assert_ok();
            let cookie = first.cookie();
            for response in [first, connection.exchange(&request.clone().with("Cookie", cookie))] {
                assert_eq!(response.head.all("x-line").len(), lines - 2);
                assert!(response.body == body, "{lines} lines");
            }
            assert_eq!(a.count(), 2, "a request is sent once");
        }
    }
}

/// The rest of the upload is lost with the first one, so that it is no success.
#[test]
fn an_answer_of_many_header_lines_before_the_end_of_the_upload_passes_from_the_second_time_on() {
    let (gateway, a) = start();
    a.answers(Answer::AtOnce(answer(200, b"early")));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf";
    let mut connection = Connection::open(gateway.address);
    connection.write(head);
    let first = connection.response();
    assert_eq!((first.status, first.set_cookie()), (502, None));

    let mut connection = Connection::open(gateway.address);
    connection.write(head);
    let second = connection.response();
    assert_eq!((second.status, second.text()), (200, "early".into()));
    assert_eq!(second.head.all("x-line").len(), 198);
    connection.write("full");
    wait_until("the whole upload", || a.last().body == b"halffull");
}

#[test]
fn an_answer_with_more_than_512_header_lines_is_a_502_without_a_cookie() {
    let (gateway, a) = start();
    a.answers(Answer::Bytes(answer(513, b"long")));
    let response = gateway.visit();
    assert_eq!((response.status, response.set_cookie()), (502, None));
    assert_eq!(a.count(), 1, "it is asked once");
    a.answers(Answer::Name);
    gateway.visit().assert_ok();
}

#[test]
fn many_header_lines_after_an_interim_answer_in_pieces_and_to_head_pass_whole() {
    let (gateway, a) = start();
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".to_vec();
    a.answers(Answer::Bytes([hints, answer(200, b"body")].concat()));
    let response = gateway.visit();
    assert_eq!((response.status, response.text()), (200, "body".into()));
    assert_eq!(response.head.all("x-line").len(), 198);

    let (gateway, a) = start();
    a.answers(Answer::Bytes(answer(200, b"")));
    let mut connection = Connection::open(gateway.address);
    let response = connection.exchange(&request("HEAD", "/"));
    assert_eq!((response.status, response.head.all("x-line").len()), (200, 198));
    connection.exchange(&request("HEAD", "/")).assert_ok();

    // The endpoint ends the body by the end of the connection.
    let (gateway, a) = start();
    let fields: String = (0..300).map(|line| format!("X-Line: {line}\r\n")).collect();
    let head = format!("HTTP/1.1 200 OK\r\nX-Served-By: a\r\n{fields}\r\nto the end");
    a.answers(Answer::BytesAndClose(head.into_bytes()));
    let response = gateway.visit();
    assert_eq!((response.status, response.text()), (200, "to the end".into()));
}
