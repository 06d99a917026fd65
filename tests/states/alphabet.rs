//! The events that may happen in a state, by the theme of its world.

use session_affinity::Health;

use super::event::Event;
use super::request::{Ask, End, Turn};
use super::rules::Theme;
use super::state::{Place, State, UNIT};
use super::world::Site;
use crate::support::Kind;

/// All events that may happen now.
pub(crate) fn events(site: &Site, state: &State) -> Vec<Event> {
    let mut events = vec![Event::Tick];
    for client in 0..site.rules.clients {
        for node in 0..2 {
            requests(site, client, node, &mut events);
        }
    }
    for node in 0..2 {
        for endpoint in 0..4 {
            changes(site.rules.theme, state, node, endpoint, &mut events);
        }
        if is_rotatable(site, state, node) {
            events.push(Event::Rotate { node });
        }
    }
    let theme = site.rules.theme;
    if matches!(theme, Theme::Clocks | Theme::All) {
        let skews = [0, UNIT, UNIT + 1, -UNIT - 1].into_iter();
        events.extend(skews.filter(|to| *to != state.nodes[1].skew).map(|to| Event::Skew { to }));
    }
    if matches!(theme, Theme::Store | Theme::All) {
        for client in 0..2 {
            events.extend(
                [false, true].map(|is_second_first| Event::Race { client, is_second_first }),
            );
        }
        if site.rules.kind == Kind::Header {
            events.push(Event::LoseStore { store: 0 });
        }
    }
    if state.late.is_some() {
        events.push(Event::Deliver);
    }
    events
}

fn requests(site: &Site, client: usize, node: usize, events: &mut Vec<Event>) {
    let plain = Ask::answered(client, node);
    let theme = site.rules.theme;
    let mut all = vec![plain, Ask { end: End::Drop, ..plain }];
    // No refusal changes what these themes are about, and without them the search goes deeper.
    if !matches!(theme, Theme::Drain | Theme::Keys | Theme::Clocks) {
        all.push(Ask { refusals: 1, ..plain });
        all.push(Ask { refusals: 1, end: End::Break, ..plain });
    }
    let is_drawn = !matches!(site.rules.kind, Kind::IpCookie | Kind::Header)
        && !matches!(theme, Theme::Drain | Theme::Keys | Theme::Clocks);
    if is_drawn {
        all.push(Ask { bits: 1, ..plain });
    }
    if matches!(theme, Theme::Cooling | Theme::All) {
        all.push(Ask { refusals: 2, ..plain });
        all.push(Ask { refusals: 3, ..plain });
    }
    if matches!(theme, Theme::Health | Theme::All) {
        all.push(Ask { turn: Turn::Fails, ..plain });
    }
    if matches!(theme, Theme::Store | Theme::All) && site.rules.kind == Kind::Header {
        all.push(Ask { turn: Turn::StoreDown, ..plain });
        all.push(Ask { turn: Turn::LateWrite, ..plain });
    }
    events.extend(all.into_iter().map(Event::Ask));
}

/// What the operator and the health checks of a node may do with an endpoint.
fn changes(theme: Theme, state: &State, node: usize, endpoint: usize, events: &mut Vec<Event>) {
    let member = &state.nodes[node].members[endpoint];
    let is = |themes: &[Theme]| theme == Theme::All || themes.contains(&theme);
    let is_first = endpoint == 0;
    if member.place != Place::Present {
        events.push(Event::Add { node, endpoint });
        return;
    }
    let checked = is(&[Theme::Health, Theme::Fallback]) && endpoint < 2
        || theme == Theme::Fallback && endpoint == 2
        || is(&[Theme::Store, Theme::Members]) && is_first
        || member.health == Health::Unchecked;
    if checked {
        let to = match member.health {
            Health::Healthy => Health::Unhealthy,
            _ => Health::Healthy,
        };
        events.push(Event::Health { node, endpoint, to });
    }
    if theme == Theme::All && is_first {
        events.push(match member.disabled {
            None => Event::Disable { node, endpoint },
            Some(_) => Event::Enable { node, endpoint },
        });
    }
    if theme == Theme::Drain && is_first && node == 0 {
        events.push(match member.disabled {
            None => Event::DisableAtBoth { endpoint },
            Some(_) => Event::EnableAtBoth { endpoint },
        });
    }
    if is(&[Theme::Members]) && is_first {
        events.push(Event::Remove { node, endpoint });
    }
    if is(&[Theme::Drain, Theme::Members, Theme::Cooling]) && is_first {
        events.push(Event::Restart { node });
    }
    if is(&[Theme::Room]) && endpoint < 2 {
        events.push(Event::Weight { node, endpoint });
        if node == 0 {
            events.push(Event::Full { endpoint });
        }
    }
}

/// The operator takes a step when every node has made the one before, and the last step when no token
/// of the first key can be alive.
fn is_rotatable(site: &Site, state: &State, node: usize) -> bool {
    let [own, other] = [node, 1 - node].map(|node| state.nodes[node].keys);
    let is_old = state.promoted.is_some_and(|promoted| promoted <= -site.rules.ttl() - UNIT);
    matches!(site.rules.theme, Theme::Keys | Theme::All)
        && site.rules.kind.has_token()
        && own < 3
        && own <= other
        && (own < 2 || is_old)
}
