//! Apache's `mod_proxy_balancer`, by a cookie of its own and by a route in the application's.

use session_affinity::policy::{CookieOwner, ForeignFormat};

use crate::backend::Backend;
use crate::program::Program;
use crate::{Fate, all_stay, asked, backends, cookie, with_one_lost};

/// Apache with a balancer of these parameters. `ROUTEID` is set as its manual has it.
fn apache(backends: &[Backend; 2], parameters: &str) -> Program {
    let members = backends.each_ref().map(|backend| {
        format!("  BalancerMember http://{} route={}\n", backend.address, backend.name)
    });
    let cookie = "Header add Set-Cookie \"ROUTEID=.%{BALANCER_WORKER_ROUTE}e; path=/\" \
                  env=BALANCER_ROUTE_CHANGED\n";
    let header = if parameters.contains("ROUTEID") { cookie } else { "" };
    Program::apache(&format!(
        "{header}<Proxy balancer://shop>\n{}  ProxySet {parameters}\n</Proxy>\n\
         ProxyPass / balancer://shop/\n",
        members.concat()
    ))
}

#[test]
fn the_sessions_of_apache_by_a_cookie_of_its_own_stay() {
    let backends = backends("");
    let old = apache(&backends, "stickysession=ROUTEID");
    all_stay(&old, &backends, cookie("ROUTEID", ForeignFormat::APACHE_ROUTE), "");
}

#[test]
fn the_sessions_of_apache_by_a_route_in_the_applications_cookie_stay() {
    let backends = backends("JSESSIONID=app-#.@");
    let old = apache(&backends, "stickysession=JSESSIONID|jsessionid");
    let table = cookie("JSESSIONID", ForeignFormat::APACHE_ROUTE);
    all_stay(&old, &backends, table.with_owner(CookieOwner::Application), "JSESSIONID");
}

/// manual::coming_from, Apache: "`nofailover=Off`, the default (another member, and the cookie
/// follows)", "`nofailover=On` (503, and the cookie stays)"
#[test]
fn apache_moves_a_session_whose_server_refuses_connections_unless_it_may_not() {
    let backends = with_one_lost();
    for (parameters, fate) in [
        ("stickysession=ROUTEID", (200, Fate::Moved)),
        ("stickysession=ROUTEID nofailover=On", (503, Fate::AsItWas)),
    ] {
        let old = apache(&backends, parameters);
        assert_eq!(asked(&old, "ROUTEID", ".s2"), fate, "{parameters}");
    }
}
