"""The configuration files of the caches: each stores what the response allows, by its own defaults."""

import os
import pathlib
import shutil


def nginx(_directory, port, origin, lock="off"):
    user = "user root;" if os.geteuid() == 0 else ""
    temporary = " ".join(f"{name}_temp_path {name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return {
        "nginx.conf": f"""
daemon off; master_process off; pid pid; error_log stderr warn; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; {temporary}
  proxy_cache_path cache keys_zone=all:1m inactive=10m;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://{origin};
      proxy_set_header Host $host;
      proxy_cache all;
      proxy_cache_key $uri;
      proxy_cache_lock {lock};
      proxy_cache_revalidate on;
      proxy_cache_background_update on;
    }}
  }}
}}
"""
    }


def haproxy(_directory, port, origin):
    return {
        "haproxy.cfg": f"""
global
  maxconn 200
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
cache all
  total-max-size 4
  process-vary on
  max-age 600
frontend in
  bind 127.0.0.1:{port}
  http-request cache-use all
  http-response cache-store all
  default_backend origin
backend origin
  server origin {origin}
"""
    }


def squid(directory, port, origin):
    host, at = origin.split(":")
    return {
        "squid.conf": f"""
http_port 127.0.0.1:{port} accel defaultsite=shop.example no-vhost
cache_peer {host} parent {at} 0 no-query no-digest originserver name=origin
cache_peer_access origin allow all
http_access allow all
never_direct allow all
cache_mem 16 MB
cache_log {directory}/cache.log
access_log none
pid_filename none
coredump_dir {directory}
netdb_filename none
pinger_enable off
shutdown_lifetime 0 seconds
icp_port 0
max_filedescriptors 1024
visible_hostname cache
"""
    }


def apache(directory, port, origin):
    modules = pathlib.Path("/usr/lib/apache2/modules")
    wanted = ("mpm_event", "authz_core", "headers", "proxy", "proxy_http", "cache", "cache_disk")
    loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in wanted)
    return {
        "apache.conf": f"""
{loads}
ServerName shop.example
DefaultRuntimeDir {directory}
PidFile {directory}/pid
ErrorLog {directory}/error.log
Listen 127.0.0.1:{port}
CacheRoot {directory}/cache
CacheEnable disk /
ProxyPass / http://{origin}/
ProxyPreserveHost On
"""
    }


def traffic_server(directory, port, origin):
    folders = {
        "prefix": directory, "sysconfdir": directory / "etc", "localstatedir": directory / "run", "runtimedir": directory / "run",
        "logdir": directory / "log", "cachedir": directory / "cache", "datadir": directory / "empty",
        "exec_prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin", "libdir": "/usr/lib/trafficserver",
        "libexecdir": "/usr/lib/trafficserver/modules", "includedir": "/usr/include",
    }  # fmt: skip
    records = {
        "http.server_ports STRING": f"{port}:ip-in=127.0.0.1",
        "url_remap.pristine_host_hdr INT": "1",
        "http.wait_for_cache INT": "1",
        "log.logging_enabled INT": "0",
        "cache.ram_cache.size INT": "4M",
        "exec_thread.autoconfig INT": "0",
        "exec_thread.limit INT": "1",
        "cache.threads_per_disk INT": "2",
    }
    return {
        "runroot.yaml": "".join(f"{name}: {path}\n" for name, path in folders.items()),
        "etc/records.config": "".join(f"CONFIG proxy.config.{name} {value}\n" for name, value in records.items()),
        "etc/remap.config": f"map / http://{origin}/\n",
        "etc/storage.config": f"{directory}/cache 32M\n",
        "etc/ip_allow.yaml": pathlib.Path("/etc/trafficserver/ip_allow.yaml").read_text() if shutil.which("traffic_server") else "",
        **{f"etc/{name}": "" for name in ("plugin.config", "ssl_multicert.config", "hosting.config", "volume.config")},
    }
