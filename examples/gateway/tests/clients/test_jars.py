"""What holds for each client that keeps cookies."""

import time
import unittest

from jars import Cookiejar, Curl, Node
from scene import Certificate, Scene

TTL = 82_800


class Laws:
    """A client's class is `client`."""

    client = None

    @classmethod
    def setUpClass(cls):
        cls.certificate = Certificate()
        cls.addClassCleanup(cls.certificate.close)

    def begin(self, scheme="http", *arguments, **named):
        """A scene, a client, and the URL to ask for."""
        scene, client = Scene(*arguments, **named), self.client(self.certificate)
        self.addCleanup(scene.close)
        self.addCleanup(client.close)
        return scene, client, scene.front(self.certificate).url() if scheme == "https" else scene.url()

    def assert_kept(self, answer, endpoint):
        self.assertEqual((answer.status, answer.outcome, answer.served_by), (200, "kept", endpoint))
        self.assertIsNone(answer.set_cookie, "a kept session writes no cookie")

    def test_a_session_is_kept(self):
        for scheme in ("http", "https"):
            with self.subTest(scheme):
                _, client, url = self.begin(scheme)
                first = client.get(url)
                self.assertEqual(first.outcome, "created:no_cookie")
                for _ in range(10):
                    self.assert_kept(client.get(url), first.served_by)

    def test_the_attributes_are_understood_as_they_were_sent(self):
        for scheme, same_site in (("http", "Lax"), ("https", "None")):
            with self.subTest(scheme):
                _, client, url = self.begin(scheme)
                before = int(time.time())
                line = client.get(url).set_cookie
                after = int(time.time())
                cookie = client.cookie()
                self.assertEqual(cookie["value"], line.partition(";")[0].partition("=")[2])
                self.assertEqual(len(cookie["value"]), 48)
                self.assertEqual(cookie["domain"], "shop.example")
                self.assertTrue(cookie["host_only"])
                self.assertEqual(cookie["path"], "/")
                self.assertEqual(cookie["secure"], scheme == "https")
                self.assertTrue(cookie["http_only"])
                self.assertIn(cookie["expires"], range(before + TTL, after + TTL + 1))
                # curl's jar does not keep it.
                if "same_site" in cookie:
                    self.assertEqual(cookie["same_site"].lower(), same_site.lower())

    def test_what_is_secure_is_not_sent_over_http(self):
        scene, client, url = self.begin("https")
        client.get(url)
        plain = client.get(scene.url())
        self.assertEqual(plain.outcome, "created:no_cookie")

    def test_a_session_that_has_expired_by_the_gateways_clock_begins_anew(self):
        scene, client, url = self.begin()
        client.get(url)
        scene.gateway.set_clock(TTL - 60)
        self.assertEqual(client.get(url).outcome, "kept")
        scene.gateway.set_clock(TTL)
        renewed = client.get(url)
        self.assertEqual(renewed.outcome, "created:expired")
        self.assert_kept(client.get(url), renewed.served_by)

    def test_a_shorter_ttl_is_what_the_client_is_told(self):
        scene, client, url = self.begin("http", {"session_affinity_ttl": 1800})
        before = int(time.time())
        client.get(url)
        self.assertIn(client.cookie()["expires"], range(before + 1800, int(time.time()) + 1801))

    def test_a_cookie_that_was_deleted_begins_a_new_session(self):
        _, client, url = self.begin()
        client.get(url)
        client.forget()
        self.assertIsNone(client.cookie())
        first = client.get(url)
        self.assertEqual(first.outcome, "created:no_cookie")
        self.assert_kept(client.get(url), first.served_by)

    def test_after_a_failover_the_new_cookie_takes_the_place_of_the_old_one(self):
        scene, client, url = self.begin()
        home = client.get(url).served_by
        old = client.cookie()["value"]
        scene.endpoints[home].go_down()
        moved = client.get(url)
        self.assertEqual((moved.status, moved.outcome), (200, "moved:connect_failed"))
        self.assertNotEqual(moved.served_by, home)
        self.assertNotEqual(client.cookie()["value"], old)
        scene.endpoints[home].come_back()
        self.assert_kept(client.get(url), moved.served_by)

    def test_hosts_of_its_domain_share_a_session(self):
        scene, client, url = self.begin(cookie={"domain": "shop.example"})
        first = client.get(url)
        self.assertIn(client.cookie()["domain"], ("shop.example", ".shop.example"))
        self.assertFalse(client.cookie()["host_only"])
        self.assert_kept(client.get(url.replace("shop.example", "www.shop.example")), first.served_by)


class CurlTest(Laws, unittest.TestCase):
    client = Curl


class CookiejarTest(Laws, unittest.TestCase):
    client = Cookiejar


class NodeTest(Laws, unittest.TestCase):
    client = Node
