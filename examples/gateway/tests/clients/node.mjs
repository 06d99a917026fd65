// A client of Node.js: commands as JSON arrays on stdin, one a line, answers on stdout.

import dns from "node:dns";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { CookieJar } = createRequire(`${process.env.NODE_MODULES}/`)("tough-cookie");
const jar = new CookieJar();

// All hosts of these tests are this machine.
dns.lookup = (_host, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);

const commands = {
  async get(url) {
    const response = await fetch(url, { headers: { cookie: await jar.getCookieString(url) } });
    for (const line of response.headers.getSetCookie()) await jar.setCookie(line, url);
    return [response.status, [...response.headers], await response.text()];
  },
  async cookie(name) {
    const cookie = (await jar.serialize()).cookies.find((cookie) => cookie.key === name);
    return cookie
      ? {
          domain: cookie.domain,
          host_only: cookie.hostOnly,
          path: cookie.path,
          secure: cookie.secure ?? false,
          http_only: cookie.httpOnly ?? false,
          same_site: cookie.sameSite,
          max_age: cookie.maxAge,
          expires: Date.parse(cookie.expires) / 1000,
          value: cookie.value,
        }
      : null;
  },
  async forget() {
    await jar.removeAllCookies();
    return null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...words] = JSON.parse(line);
  const answer = await commands[name](...words).then((value) => ({ value }), (error) => ({ error: String(error.cause ?? error) }));
  console.log(JSON.stringify(answer));
}
