"""Chromium against the gateway."""

import time
import unittest

from scene import NO_ICON, Certificate, Scene, wait_until
from webdriver import ALLOW, BLOCK, Browser

TTL = 82_800
# A page of another site that asks the shop for something in every way there is. What follows a click is a
# navigation of the whole page, the others are requests for a part of it.
SUBREQUESTS = ("frame", "image", "fetch")
NAVIGATIONS = ("link", "form")


def other_site(shop):
    ways = {way: f"{shop}{way}" for way in (*SUBREQUESTS, *NAVIGATIONS)}
    return f"""<!DOCTYPE html><title>other</title>{NO_ICON}
        <iframe src='{ways["frame"]}'></iframe>
        <img src='{ways["image"]}'>
        <a href='{ways["link"]}'>link</a>
        <form action='{ways["form"]}' method=post><input name=order value=1></form>
        <script>fetch('{ways["fetch"]}', {{credentials: 'include', mode: 'no-cors'}})</script>"""


class WithBrowser:
    third_party = ALLOW

    @classmethod
    def setUpClass(cls):
        cls.certificate = Certificate()
        cls.addClassCleanup(cls.certificate.close)
        cls.browser = Browser(cls.third_party)
        cls.addClassCleanup(cls.browser.close)

    def scene(self, *arguments, **named):
        scene = Scene(*arguments, **named)
        self.addCleanup(scene.close)
        self.browser.forget()
        return scene

    def front(self, scene, scheme="https", pages=()):
        return scene.front(self.certificate if scheme == "https" else None, pages)

    def load(self, front, path, host="shop.example"):
        """Loads a page as if its address were typed in, and returns what passed."""
        self.browser.go(front.url(path, host))
        return front.wait_for(path)

    def endpoint(self):
        return self.browser.run("return document.querySelector('#endpoint').textContent")

    def sent(self, passed):
        """Whether the browser sent the cookie. If so, the gateway kept the session."""
        is_sent = "__cflb=" in passed["cookie"]
        self.assertEqual(passed["outcome"], "kept" if is_sent else "created:no_cookie", passed)
        return is_sent


class BrowserTest(WithBrowser, unittest.TestCase):
    def test_the_cookie_comes_back(self):
        for scheme, same_site in (("http", "Lax"), ("https", "None")):
            with self.subTest(scheme):
                front = self.front(self.scene(), scheme)
                before = time.time()
                self.assertFalse(self.sent(self.load(front, "/page?0")))
                cookie, home = self.browser.cookies()["__cflb"], self.endpoint()
                self.assertEqual((cookie["domain"], cookie["path"]), ("shop.example", "/"), "it is the host's own")
                self.assertEqual((cookie["httpOnly"], cookie["secure"]), (True, scheme == "https"))
                self.assertEqual(cookie["sameSite"], same_site)
                self.assertTrue(before + TTL - 1 <= cookie["expires"] <= time.time() + TTL + 1)
                for number in range(1, 6):
                    self.assertTrue(self.sent(self.load(front, f"/page?{number}")))
                    self.assertEqual(self.endpoint(), home)
                self.assertEqual(self.browser.cookies()["__cflb"]["value"], cookie["value"])

    def test_scripts_neither_see_it_nor_replace_it(self):
        scene = self.scene()
        front = self.front(scene)
        self.load(front, "/page?0")
        self.assertEqual(self.browser.run("return document.cookie"), "app=1", "the application's own is there")
        names = "return cookieStore.getAll().then(all => all.map(cookie => cookie.name))"
        self.assertEqual(self.browser.run(names), ["app"])
        self.browser.run("document.cookie = '__cflb=mine; Path=/; Secure'; document.cookie = '__cflb=; Max-Age=0; Path=/'")
        self.assertTrue(self.sent(self.load(front, "/page?1")))
        for endpoint in scene.endpoints.values():
            for _, headers, _ in endpoint.seen:
                self.assertNotIn("__cflb", headers.get("cookie", ""), "nor does the endpoint")

    def assert_cross_site(self, scene, scheme, expected):
        """What another site's page sends, for a session that began at the shop itself."""
        front = self.front(scene, scheme)
        front.pages["/"] = other_site(front.url("/page?"))
        self.load(front, "/page?first")
        value = self.browser.cookies()["__cflb"]["value"]
        self.browser.go(front.url("/", "other.example"))
        sent = {way for way in SUBREQUESTS if self.sent(front.wait_for(f"/page?{way}"))}
        # Where it was not sent, the gateway answers with a new one, which is not taken from a part of a page.
        self.assertEqual(self.browser.cookies()["__cflb"]["value"], value)
        for way, click in (("link", "document.querySelector('a').click()"), ("form", "document.forms[0].submit()")):
            self.browser.go(front.url("/", "other.example"))
            self.browser.run(click)
            if self.sent(front.wait_for(f"/page?{way}")):
                sent.add(way)
            self.browser.wait_for_title("shop")
        self.assertEqual(sent, set(expected))
        # Whatever that has brought: within the shop there is one session.
        home = self.endpoint()
        self.assertTrue(self.sent(self.load(front, "/page?last")))
        self.assertEqual(self.endpoint(), home)

    def test_none_is_sent_from_other_sites(self):
        self.assert_cross_site(self.scene(), "https", {*SUBREQUESTS, *NAVIGATIONS})
        self.assert_cross_site(self.scene(attributes={"samesite": "None"}), "https", {*SUBREQUESTS, *NAVIGATIONS})

    def test_lax_is_sent_from_other_sites_with_a_link_only(self):
        self.assert_cross_site(self.scene(), "http", {"link"})
        self.assert_cross_site(self.scene(attributes={"samesite": "Lax"}), "https", {"link"})
        self.assert_cross_site(self.scene(always_use_https=True), "https", {"link"})

    def test_strict_is_not_sent_from_other_sites(self):
        self.assert_cross_site(self.scene(attributes={"samesite": "Strict"}), "https", set())

    def test_none_without_secure_is_lax(self):
        self.assert_cross_site(self.scene(attributes={"samesite": "None"}), "http", {"link"})

    def test_what_is_secure_stays_on_https(self):
        scene = self.scene()
        http, https = self.front(scene, "http"), self.front(scene)
        self.load(https, "/page?0")
        value = self.browser.cookies()["__cflb"]["value"]
        for number in range(2):
            self.assertFalse(self.sent(self.load(http, f"/page?{number}")))
            self.assertEqual(self.browser.cookies()["__cflb"]["value"], value, "http cannot replace it")
        self.assertTrue(self.sent(self.load(https, "/page?1")))

    def test_secure_always_makes_no_session_over_http(self):
        scene = self.scene(attributes={"secure": "Always"})
        http, https = self.front(scene, "http"), self.front(scene)
        for number in range(2):
            passed = self.load(http, f"/page?{number}")
            self.assertFalse(self.sent(passed))
            self.assertIn("; Secure", passed["set_cookie"])
        self.assertNotIn("__cflb", self.browser.cookies())
        self.load(https, "/page?0")
        self.assertTrue(self.sent(self.load(https, "/page?1")))

    def test_secure_never_is_one_session_over_http_and_https(self):
        scene = self.scene(attributes={"secure": "Never"})
        http, https = self.front(scene, "http"), self.front(scene)
        self.load(https, "/page?0")
        cookie = self.browser.cookies()["__cflb"]
        self.assertEqual((cookie["secure"], cookie["sameSite"]), (False, "Lax"))
        self.assertTrue(self.sent(self.load(http, "/page?0")))
        self.assertTrue(self.sent(self.load(https, "/page?1")))

    def test_a_page_does_not_notice_a_failover(self):
        for mode in ("sticky", "temporary"):
            with self.subTest(mode):
                scene = self.scene(attributes={"zero_downtime_failover": mode})
                front = self.front(scene)
                self.load(front, "/page?0")
                home, value = self.endpoint(), self.browser.cookies()["__cflb"]["value"]
                (other,) = {"a", "b"} - {home}
                self.browser.run("""
                    window.log = [], window.errors = []
                    window.onerror = error => errors.push(String(error))
                    ;(async () => {
                        for (let number = 0; !window.enough; number++) {
                            try {
                                const answer = await fetch('/poll?' + number)
                                log.push([answer.status, await answer.text()])
                            } catch (error) { errors.push(String(error)) }
                        }
                    })()""")
                self.wait_for_answers(home)
                # A request that it was sent would be lost with it, and that is no failover.
                with front.gate:
                    scene.endpoints[home].go_down()
                self.wait_for_answers(other)
                scene.endpoints[home].come_back()
                self.wait_for_answers(other if mode == "sticky" else home)
                self.browser.run("window.enough = true")
                log, errors = self.browser.run("return [log, errors]")
                self.assertEqual(errors, [])
                self.assertEqual({status for status, _ in log}, {200})
                changes = [name for number, (_, name) in enumerate(log) if number == 0 or log[number - 1][1] != name]
                self.assertEqual(changes, [home, other] if mode == "sticky" else [home, other, home])
                self.assertEqual(self.browser.cookies()["__cflb"]["value"] != value, mode == "sticky")
                self.assertTrue(self.sent(self.load(front, "/page?1")))
                self.assertEqual(self.endpoint(), changes[-1])

    def wait_for_answers(self, endpoint):
        """Waits for ten further answers, and for the last of them to be of this endpoint."""
        log = "return log.map(([_, name]) => name)"
        before = len(self.browser.run(log))
        wait_until(f"answers of {endpoint}", lambda: len(names := self.browser.run(log)) >= before + 10 and names[-1] == endpoint)

    def test_a_form_that_is_sent_as_its_endpoint_fails_arrives_whole(self):
        scene = self.scene()
        front = self.front(scene)
        self.load(front, "/page?0")
        home = self.endpoint()
        (other,) = {"a", "b"} - {home}
        scene.endpoints[home].go_down()
        self.browser.run("""
            const form = document.body.appendChild(document.createElement('form'))
            form.method = 'post', form.action = '/page?order'
            const order = form.appendChild(document.createElement('textarea'))
            order.name = 'order', order.value = 'x'.repeat(200000)
            form.submit()""")
        self.assertEqual(front.wait_for("/page?order")["outcome"], "moved:connect_failed")
        wait_until("the next page", lambda: self.browser.run("return location.search") == "?order")
        self.assertEqual(self.endpoint(), other)
        line, _, body = scene.endpoints[other].seen[-1]
        self.assertEqual(line, "POST /page?order HTTP/1.1")
        self.assertTrue(body == b"order=" + b"x" * 200_000, f"{len(body)} bytes")

    def test_the_cookie_of_a_websockets_101_is_kept(self):
        for scheme in ("http", "https"):
            with self.subTest(scheme):
                front = self.front(self.scene(), scheme)
                self.load(front, "/page?0")
                self.browser.forget()
                name = self.browser.run("""
                    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket')
                    return new Promise((told, failed) => {
                        socket.onmessage = message => told(message.data)
                        socket.onerror = () => failed('no tunnel')
                    })""")
                passed = front.wait_for("/socket")
                self.assertFalse(self.sent(passed))
                self.assertEqual(self.browser.cookies()["__cflb"]["value"], passed["set_cookie"][7:55])
                self.assertTrue(self.sent(self.load(front, "/page?1")))
                self.assertEqual(self.endpoint(), name)

    def test_a_deleted_cookie_begins_a_new_session(self):
        front = self.front(self.scene())
        self.load(front, "/page?0")
        self.browser.forget()
        self.assertFalse(self.sent(self.load(front, "/page?1")))
        self.assertTrue(self.sent(self.load(front, "/page?2")))

    def test_an_expired_session_begins_anew_by_the_gateways_clock(self):
        scene = self.scene()
        front = self.front(scene)
        self.load(front, "/page?0")
        scene.gateway.set_clock(TTL)
        self.assertEqual(self.load(front, "/page?1")["outcome"], "created:expired")
        self.assertTrue(self.sent(self.load(front, "/page?2")))

    def test_hosts_of_its_domain_share_a_session_and_others_do_not(self):
        for domain in ("shop.example", None):
            with self.subTest(domain):
                front = self.front(self.scene(cookie={"domain": domain}))
                self.load(front, "/page?0", "www.shop.example")
                self.assertEqual(self.sent(self.load(front, "/page?1", "pay.shop.example")), domain is not None)

    def test_a_sibling_host_can_toss_a_cookie_that_breaks_nothing(self):
        front = self.front(self.scene())
        self.load(front, "/page?0")
        home = self.endpoint()
        self.load(front, "/page?1", "blog.shop.example")
        self.browser.run("document.cookie = '__cflb=tossed; Domain=shop.example; Path=/page; Secure'")
        passed = self.load(front, "/page?2")
        self.assertEqual((passed["cookie"].count("__cflb="), passed["outcome"]), (2, "kept"))
        self.assertLess(passed["cookie"].index("tossed"), passed["cookie"].rindex("__cflb="), "the longer path comes first")
        self.assertEqual(self.endpoint(), home)

    def test_a_sibling_host_cannot_toss_a_host_cookie(self):
        front = self.front(self.scene(attributes={"secure": "Always"}, cookie={"name": "__Host-affinity"}))
        self.load(front, "/page?0", "blog.shop.example")
        self.browser.run("document.cookie = '__Host-affinity=tossed; Domain=shop.example; Path=/; Secure'")
        passed = self.load(front, "/page?1")
        self.assertEqual((passed["cookie"].count("__Host-"), passed["outcome"]), (0, "created:no_cookie"))
        self.assertEqual(self.load(front, "/page?2")["outcome"], "kept")


class ThirdPartyTest(WithBrowser, unittest.TestCase):
    """The shop in frames of other sites, in a browser that blocks cookies of third parties."""

    third_party = BLOCK

    def load_in_frame(self, front, site, path):
        front.pages[path] = f"<!DOCTYPE html><title>other</title>{NO_ICON}<iframe src='{front.url(path)}'></iframe>"
        self.browser.go(front.url(path, site))
        return front.wait_for(path)

    def test_a_partitioned_cookie_is_one_session_for_each_site(self):
        front = self.front(self.scene(cookie={"partitioned": True}))
        for site in ("other.example", "third.example"):
            self.assertFalse(self.sent(self.load_in_frame(front, site, f"/page?{site}1")), site)
            self.assertTrue(self.sent(self.load_in_frame(front, site, f"/page?{site}2")), site)
        self.assertFalse(self.sent(self.load(front, "/page?0")))
        self.assertTrue(self.sent(self.load(front, "/page?1")))
        self.assertTrue(self.sent(self.load_in_frame(front, "other.example", "/page?2")))

    def test_a_cookie_that_is_not_partitioned_is_blocked(self):
        front = self.front(self.scene())
        self.load(front, "/page?0")
        for number in range(1, 3):
            self.assertFalse(self.sent(self.load_in_frame(front, "other.example", f"/page?{number}")))
        self.assertTrue(self.sent(self.load(front, "/page?3")), "at the shop itself it is not")
