//! Any bytes are refused for the reason that a plain reading of the format gives, or open to
//! the pin that it gives; and what opens is what sealing that pin writes.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use session_affinity::cookies::CookieName;
use session_affinity::limits::{ClockSkew, Ttl};
use session_affinity::token::{Pin, Rejected, TokenCodec};
use session_affinity::{EndpointId, Key, Keyring, LoadBalancer, Secret, UnixTime};
use sha2::Sha256;
use siphasher::sip::SipHasher24;

use super::choices::Choices;
use super::support::Chance;

/// The first one signs; each secret is its id, 32 times.
const IDS: [u8; 3] = [1, 2, 255];
const LAST: u64 = (1 << 40) - 1;

pub fn check(input: &[u8]) {
    let mut choices = Choices(input);
    let now = a_time(&mut choices);
    let ttl = choices.one_of(&[1_800, 82_800, 604_800]);
    let skew = choices.one_of(&[0, 300, 86_400]);
    let value = match choices.below(8) {
        0 => choices.0.to_vec(),
        damage => sealed(&mut choices, now, damage),
    };
    let codec =
        codec(&IDS).with_ttl(Ttl::new(ttl).unwrap()).with_clock_skew(ClockSkew::new(skew).unwrap());
    let found = codec.open(&value, UnixTime::from_secs(now));
    assert_eq!(
        found,
        plain_open(&value, now, ttl, skew),
        "{:?} at {now}",
        String::from_utf8_lossy(&value)
    );
    if let Ok(pin) = found {
        let sealed = URL_SAFE_NO_PAD.decode(&value).unwrap();
        let expires = sealed[15..20].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let written = Pin { expires: UnixTime::from_secs(expires), ..pin };
        assert_eq!(self::codec(&[sealed[1]]).seal(&written).as_str().as_bytes(), value);
    }
}

fn codec(ids: &[u8]) -> TokenCodec {
    let keyring =
        Keyring::new(ids.iter().map(|id| Key::new(*id, Secret::new([*id; 32]).unwrap()))).unwrap();
    TokenCodec::new(&LoadBalancer::new("shop").unwrap(), CookieName::default(), &keyring)
}

/// Round about the times that are told apart, or any.
fn a_time(choices: &mut Choices<'_>) -> u64 {
    let start = choices.one_of(&[1_800_000_000, 0, LAST]);
    let step = choices.one_of(&[0, 300, 1_800, 82_800, 86_400, 604_800]);
    let around = match choices.below(4) {
        0 => start + step,
        1 => start.saturating_sub(step),
        2 => (start + step + 1).saturating_sub(choices.number(3)),
        _ => choices.number(1 << 40),
    };
    around.min(LAST)
}

/// A token of this or another ring, whole or damaged.
fn sealed(choices: &mut Choices<'_>, now: u64, damage: usize) -> Vec<u8> {
    let id = choices.one_of(&[1, 2, 255, 3]);
    let issued = if choices.percent(50) { a_time(choices) } else { now };
    let life = choices.one_of(&[82_800, 0, 1, 1_800, 604_800, LAST]);
    let pin = Pin {
        endpoint: EndpointId::from_u64(choices.next()),
        issued: UnixTime::from_secs(issued),
        expires: UnixTime::from_secs(issued.saturating_add(life)),
    };
    let mut value = codec(&[id]).seal(&pin).as_str().as_bytes().to_vec();
    match damage {
        1 => value.truncate(choices.below(49)),
        2 => value.extend(choices.some_bytes(8)),
        3 => {
            let (at, byte) = (choices.below(48), choices.number(256) as u8);
            value[at] = byte;
        }
        4 => {
            // Under the spelling.
            let mut bytes = URL_SAFE_NO_PAD.decode(&value).unwrap();
            bytes[choices.below(36)] ^= choices.number(256) as u8;
            value = URL_SAFE_NO_PAD.encode(bytes).into_bytes();
        }
        _ => {}
    }
    value
}

/// Opens a token check by check, in the order in which the first failure is reported: length and
/// alphabet, version, key id, tag, times.
fn plain_open(value: &[u8], now: u64, ttl: u64, skew: u64) -> Result<Pin, Rejected> {
    let bytes: [u8; 36] = match URL_SAFE_NO_PAD.decode(value) {
        Ok(bytes) if value.len() == 48 => bytes.try_into().unwrap(),
        _ => return Err(Rejected::Malformed),
    };
    let (mut head, tag) = bytes.split_at(20);
    if head[0] != 1 {
        return Err(Rejected::UnknownVersion);
    }
    let id = head[1];
    if !IDS.contains(&id) {
        return Err(Rejected::UnknownKey);
    }
    let derived = |label: &str| {
        hmac(&[id; 32], format!("session-affinity v1 {label}\0shop\0__cflb").as_bytes())
    };
    let mask_key: [u8; 16] = derived("mask")[..16].try_into().unwrap();
    let mask = SipHasher24::new_with_key(&mask_key).hash(tag);
    let endpoint = u64::from_be_bytes(head[2..10].try_into().unwrap()) ^ mask;
    let plain = [&head[..2], &endpoint.to_be_bytes(), &head[10..]].concat();
    if hmac(&derived("mac"), &plain)[..16] != *tag {
        return Err(Rejected::Forged);
    }
    head = &head[10..];
    let time =
        |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let (issued, expires) = (time(&head[..5]), time(&head[5..]));
    if issued > (now + skew).min(LAST) {
        return Err(Rejected::Premature);
    }
    let expires = expires.min(issued + ttl);
    if expires <= now {
        return Err(Rejected::Expired);
    }
    let at = UnixTime::from_secs;
    Ok(Pin { endpoint: EndpointId::from_u64(endpoint), issued: at(issued), expires: at(expires) })
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().into()
}
