#!/usr/bin/env bash
# The example gateway under load, with affinity off and on, beside nginx and haproxy.
#
#     benches/load.sh                                          # two minutes at most, and the build
#     ROUNDS=50 PROXIES="off cookie again" benches/load.sh     # a sharper answer to one question
#
# wrk plays 240 clients over keep-alive connections. All proxies get the same bytes: a Cookie
# header with each proxy's own cookie in it, obtained from it beforehand, and an x-user header.
# All of them send the requests to the same three endpoints on loopback, which answer with
# their name at once. One proxy at a time is under load:
#
#     off        the gateway, session_affinity none
#     cookie     the gateway, session_affinity cookie; each request is a session that is kept
#     off again  as the first, another process: how far its ratio is from 1 is the noise
#     header     the gateway, session_affinity header; each request is a session that is kept
#     nginx      hash $cookie_srv consistent (it checks no signature, and no endpoint leaves)
#     haproxy    cookie insert indirect nocache (likewise)
#
# What counts is the CPU time that the proxy's processes take for a request (user and system,
# from /proc): requests per second depend on what else runs, wrk and the endpoints among it.
# The table has medians over the rounds. A ratio is taken within each round, because the
# machine changes from round to round; "off" is the mean of the two then, one measured before
# "cookie" and one after. What is printed is the median of these ratios, about two standard
# errors of it, and the extremes.
#
# It checks that it measures what it says: all answers are 200, the gateway's own counters
# show nothing but kept sessions, and clients get the same endpoint twice.
#
# It needs Linux, curl, wrk and nginx (also for the endpoints), cargo unless GATEWAY names a
# built gateway, and haproxy, whose row is left out without it. It installs nothing, listens
# on loopback only, writes to a temporary directory only, and leaves nothing behind.
#
#     SECONDS_EACH  seconds of load on a proxy in a round                   (2)
#     ROUNDS        rounds                                                  (7)
#     CONNECTIONS   connections of wrk                                      (32)
#     THREADS       worker threads or processes of each proxy               (1)
#     PROXIES       which to measure, of off cookie again header nginx haproxy
#     GATEWAY       the gateway's executable                                (built by cargo)
#
# Exit status: 0 measured, 1 something failed, 2 something is missing or wrongly set.

set -Eeuo pipefail
export LC_ALL=C
# Debian keeps servers where users do not look.
PATH=$PATH:/usr/sbin:/sbin

SECONDS_EACH=${SECONDS_EACH:-2}
ROUNDS=${ROUNDS:-7}
CONNECTIONS=${CONNECTIONS:-32}
THREADS=${THREADS:-1}
PROXIES=${PROXIES:-off cookie again header nginx haproxy}
CLIENTS=240
BUDGET=1.03

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

refuse() {
    echo "load.sh: $1" >&2
    exit 2
}

fail() {
    echo "load.sh: $1" >&2
    [[ ! -s ${2:-} ]] || tail -n 5 "$2" >&2
    exit 1
}

case ${1:-} in
    '') ;;
    -h | --help) usage && exit 0 ;;
    *) refuse "unknown argument $1; --help says more" ;;
esac
for setting in SECONDS_EACH ROUNDS CONNECTIONS THREADS; do
    [[ ${!setting} =~ ^[1-9][0-9]{0,3}$ ]] || refuse "$setting is '${!setting}'; allowed: 1 to 9999"
done
read -r -a PROXIES <<<"$PROXIES"
for proxy in "${PROXIES[@]}"; do
    [[ $proxy =~ ^(off|cookie|again|header|nginx|haproxy)$ ]] || refuse "PROXIES has '$proxy'"
done
[[ -r /proc/self/stat ]] || refuse "there is no /proc: CPU time cannot be read"
(( CONNECTIONS >= THREADS )) || refuse "CONNECTIONS is less than THREADS"

missing=()
for command in wrk nginx haproxy curl cargo; do
    [[ $command == cargo && -n ${GATEWAY:-} ]] || command -v "$command" >/dev/null || missing+=("$command")
done
if [[ ${missing[*]:-} == haproxy ]]; then
    echo "missing: haproxy (its row is left out)"
    for index in "${!PROXIES[@]}"; do
        [[ ${PROXIES[index]} != haproxy ]] || unset "PROXIES[index]"
    done
elif (( ${#missing[@]} > 0 )); then
    refuse "missing: ${missing[*]}"
fi

# --- What is started, and how it ends --------------------------------------------------------

DIR=$(mktemp -d "${TMPDIR:-/tmp}/load.XXXXXX")
# The workers of an nginx that root starts are nobody.
chmod 755 "$DIR"
STARTED=()

# Processes come and go while this looks at them.
children() {
    local file line
    for file in /proc/[0-9]*/stat; do
        { read -r line <"$file"; } 2>/dev/null || continue
        [[ ${line##*) } != ?" $1 "* ]] || echo "${line%% *}"
    done
}

finish() {
    local pid tries
    trap '' INT TERM HUP
    for pid in "${STARTED[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${STARTED[@]}"; do
        for (( tries = 0; tries < 20; tries++ )); do
            kill -0 "$pid" 2>/dev/null || continue 2
            sleep 0.1
        done
        # shellcheck disable=SC2046
        kill -KILL "$pid" $(children "$pid") 2>/dev/null || true
    done
    rm -rf "$DIR"
}
trap finish EXIT
trap 'echo "load.sh: line $LINENO failed" >&2' ERR
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# start NAME COMMAND...: in the background; its output goes to NAME.log.
start() {
    local name=$1
    shift
    : >"$DIR/$name.log"
    "$@" >>"$DIR/$name.log" 2>&1 </dev/null &
    STARTED+=($!)
    declare -g "pid_$name=$!"
}

pid_of() {
    local variable=pid_$1
    echo "${!variable}"
}

fetch() {
    timeout 20 curl --silent --show-error --noproxy '*' --max-time 15 "$@"
}

# Below the ports that the kernel gives to clients.
TAKEN=' '
free_port() {
    local tries
    for (( tries = 0; tries < 200; tries++ )); do
        PORT=$(( 12000 + RANDOM % 18000 ))
        [[ $TAKEN != *" $PORT "* ]] || continue
        TAKEN+="$PORT "
        # Nobody answers: it is free.
        (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null || return 0
    done
    fail "no free port was found"
}

# await NAME PORT: until it answers, and is still the process that was started.
await() {
    local name=$1 port=$2 tries
    for (( tries = 0; tries < 50; tries++ )); do
        kill -0 "$(pid_of "$name")" 2>/dev/null || break
        ! fetch --output /dev/null "http://127.0.0.1:$port/" 2>/dev/null || return 0
        sleep 0.1
    done
    fail "$name did not start" "$DIR/$name.log"
}

# --- The endpoints ---------------------------------------------------------------------------

# nginx_conf WORKERS: what each nginx here begins with.
nginx_conf() {
    cat <<CONF
daemon off; worker_processes $1; pid nginx.pid; error_log stderr error;
events { worker_connections 4096; }
http {
access_log off; default_type text/plain; server_tokens off;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
keepalive_requests 1000000000; keepalive_timeout 75s;
CONF
}

start_nginx() {
    start "$1" nginx -e stderr -p "$DIR/$1.d/" -c nginx.conf
}

ENDPOINTS=()
start_endpoints() {
    local number
    mkdir "$DIR/endpoints.d"
    {
        nginx_conf 1
        for number in 1 2 3; do
            free_port
            ENDPOINTS+=("$PORT")
            echo "server { listen 127.0.0.1:$PORT; location / { return 200 'endpoint s$number'; } }"
        done
        echo '}'
    } >"$DIR/endpoints.d/nginx.conf"
    start_nginx endpoints
    await endpoints "${ENDPOINTS[0]}"
}

# measures PROXY: whether it is to be measured.
measures() {
    [[ " ${PROXIES[*]} " == *" $1 "* ]]
}

# --- The proxies -----------------------------------------------------------------------------

declare -A PORTS ADMINS
# Those of nginx: all others are one process.
WORKERS=()

secret() {
    head -c 32 /dev/urandom | base64
}

# start_gateway NAME POLICY
start_gateway() {
    local name=$1 policy=$2 number origins=
    for number in 1 2 3; do
        origins+="${origins:+, }{ \"name\": \"s$number\", \"address\": \"127.0.0.1:${ENDPOINTS[number - 1]}\" }"
    done
    cat >"$DIR/$name.json" <<JSON
{
  "listen": "127.0.0.1:0", "admin": "127.0.0.1:0",
  "keys": [ { "id": 1, "secret": "$(secret)" } ], "session_secret": "$(secret)",
  "load_balancer": {
    "name": "load.example", "session_affinity": "$policy",
    "session_affinity_attributes": $([[ $policy == header ]] && echo '{ "headers": ["x-user"] }' || echo '{}'),
    "default_pools": ["all"], "fallback_pool": "all"
  },
  "pools": [ { "id": "all", "origins": [ $origins ] } ]
}
JSON
    start "$name" env "TOKIO_WORKER_THREADS=$THREADS" "$GATEWAY" --config "$DIR/$name.json"
    for (( number = 0; number < 50; number++ )); do
        PORTS[$name]=$(sed -n 's/^gateway listening on .*:\([0-9]*\)$/\1/p' "$DIR/$name.log")
        ADMINS[$name]=$(sed -n 's/^admin listening on .*:\([0-9]*\)$/\1/p' "$DIR/$name.log")
        [[ -z ${PORTS[$name]} || -z ${ADMINS[$name]} ]] || break
        sleep 0.1
    done
    [[ -n ${PORTS[$name]} && -n ${ADMINS[$name]} ]] || fail "the gateway did not start" "$DIR/$name.log"
}

start_peer_nginx() {
    local number
    mkdir "$DIR/nginx.d"
    free_port
    PORTS[nginx]=$PORT
    {
        nginx_conf "$THREADS"
        # shellcheck disable=SC2016
        echo 'upstream all { hash $cookie_srv consistent;'
        for number in 1 2 3; do
            echo "server 127.0.0.1:${ENDPOINTS[number - 1]};"
        done
        echo 'keepalive 64; keepalive_requests 1000000000; }'
        echo "server { listen 127.0.0.1:$PORT;"
        cat <<'CONF'
location / {
proxy_pass http://all; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
proxy_set_header X-Forwarded-Host $http_host;
} } }
CONF
    } >"$DIR/nginx.d/nginx.conf"
    start_nginx nginx
    await nginx "$PORT"
    mapfile -t WORKERS < <(children "$(pid_of nginx)")
    (( ${#WORKERS[@]} == THREADS )) || fail "nginx has ${#WORKERS[@]} workers"
}

start_haproxy() {
    local number
    free_port
    PORTS[haproxy]=$PORT
    {
        cat <<CONF
global
    nbthread $THREADS
    maxconn 4096
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 30s
    option forwardfor
    http-reuse always
frontend load
    bind 127.0.0.1:$PORT
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend all
backend all
    balance roundrobin
    cookie backend insert indirect nocache
CONF
        for number in 1 2 3; do
            echo "    server s$number 127.0.0.1:${ENDPOINTS[number - 1]} cookie s$number"
        done
    } >"$DIR/haproxy.cfg"
    start haproxy haproxy -db -f "$DIR/haproxy.cfg"
    await haproxy "$PORT"
}

# --- The clients -----------------------------------------------------------------------------

# obtain PROXY COOKIE: as many values of it as there are clients.
obtain() {
    local values
    values=$(fetch --dump-header - --output /dev/null "http://127.0.0.1:${PORTS[$1]}/[1-$CLIENTS]" |
        sed -n "s/^[Ss]et-[Cc]ookie: $2=\([^;[:space:]]*\).*/\1/p")
    [[ $(wc -l <<<"$values") == "$CLIENTS" ]] || fail "$1 does not give a cookie to each new client"
    echo "$values"
}

COOKIES=()
make_clients() {
    local ours theirs number
    obtain cookie __cflb >"$DIR/ours"
    # Without haproxy its cookie is there all the same: the requests are as long.
    ! measures haproxy || obtain haproxy backend >"$DIR/theirs"
    mapfile -t ours <"$DIR/ours"
    ! measures haproxy || mapfile -t theirs <"$DIR/theirs"
    for (( number = 0; number < CLIENTS; number++ )); do
        COOKIES+=("theme=dark; lang=en; __cflb=${ours[number]}; srv=c$number; backend=${theirs[number]:-s1}")
    done
    {
        echo 'local cookies = {'
        printf '"%s",\n' "${COOKIES[@]}"
        cat <<'LUA'
}
local requests, turn = {}, 0
function init()
  for number, cookie in ipairs(cookies) do
    requests[number] = wrk.format("GET", "/", { ["Cookie"] = cookie, ["X-User"] = "user-" .. number })
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("LOAD %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
LUA
    } >"$DIR/clients.lua"
}

# Twelve clients come twice, and have to meet the same endpoint, of more than one.
check_stickiness() {
    local proxy=$1 number again line met=
    for (( number = 0; number < CLIENTS; number += CLIENTS / 12 )); do
        line=
        for again in 1 2; do
            line+=$(fetch --header "Cookie: ${COOKIES[number]}" --header "X-User: user-$number" "http://127.0.0.1:${PORTS[$proxy]}/$again")
        done
        [[ $line =~ ^(endpoint\ s[123])(endpoint\ s[123])$ && ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] ||
            fail "$proxy does not keep a client at its endpoint: $line"
        met+="${BASH_REMATCH[1]}"$'\n'
    done
    [[ $(sort -u <<<"$met" | grep -c endpoint) -gt 1 ]] || fail "$proxy sends all clients to one endpoint"
}

# --- Measuring -------------------------------------------------------------------------------

HERTZ=$(getconf CLK_TCK)

# The CPU time of a proxy and its workers so far, in microseconds.
cpu() {
    local pid files=("/proc/$(pid_of "$1")/stat")
    if [[ $1 == nginx ]]; then
        for pid in "${WORKERS[@]}"; do
            files+=("/proc/$pid/stat")
        done
    fi
    awk -v hertz="$HERTZ" '{ sub(/.*\) /, ""); ticks += $12 + $13 } END { printf "%.0f\n", ticks * 1000000 / hertz }' "${files[@]}"
}

# How many requests ended as LABEL says, and how many otherwise, by the gateway's counters.
outcomes() {
    fetch "http://127.0.0.1:${ADMINS[$1]}/state" | tr -d ' \n' | sed 's/.*"outcomes":{\([^}]*\)}.*/\1/' | tr ',' '\n' |
        awk -v label="\"$2\"" '{ at = match($0, /:[0-9]+$/); count = substr($0, at + 1) }
            substr($0, 1, at - 1) == label { wanted += count; next } { other += count } END { print wanted + 0, other + 0 }'
}

# load PROXY SECONDS: its result in LOAD.
load() {
    local proxy=$1 seconds=$2
    timeout --kill-after=1 $(( seconds + 6 )) wrk --threads 1 --connections "$CONNECTIONS" --duration "${seconds}s" \
        --timeout 2s --script "$DIR/clients.lua" "http://127.0.0.1:${PORTS[$proxy]}/" >"$DIR/wrk.log" 2>&1 &
    local running=$!
    STARTED+=("$running")
    wait "$running" || fail "wrk failed on $proxy" "$DIR/wrk.log"
    unset 'STARTED[-1]'
    read -r -a LOAD < <(sed -n 's/^LOAD //p' "$DIR/wrk.log") || fail "wrk printed no result on $proxy" "$DIR/wrk.log"
    [[ ${LOAD[4]} == 0 && ${LOAD[0]} -gt 0 ]] || fail "$proxy: ${LOAD[4]} of ${LOAD[0]} requests failed" "$DIR/wrk.log"
}

# measure ROUND PROXY
measure() {
    local proxy=$2 label before after from until
    case $proxy in
        off | again) label=unbound ;;
        *) label=kept ;;
    esac
    [[ -z ${ADMINS[$proxy]:-} ]] || read -r -a from < <(outcomes "$proxy" "$label") || fail "$proxy does not tell its counters"
    before=$(cpu "$proxy")
    load "$proxy" "$SECONDS_EACH"
    after=$(cpu "$proxy")
    if [[ -n ${ADMINS[$proxy]:-} ]]; then
        read -r -a until < <(outcomes "$proxy" "$label") || fail "$proxy does not tell its counters"
        (( until[0] - from[0] >= LOAD[0] && until[1] == from[1] )) ||
            fail "$proxy: of ${LOAD[0]} requests $(( until[0] - from[0] )) are $label, $(( until[1] - from[1] )) are not"
    fi
    awk -v proxy="$proxy" -v round="$1" -v cpu=$(( after - before )) '{
        printf "%d %s %.1f %.4f %d %d\n", round, proxy, $1 * 1000000 / $2, cpu / $1, $3, $4 }' <<<"${LOAD[*]}" >>"$DIR/results"
}

report() {
    echo
    awk -v budget="$BUDGET" '
    function median(list, n,    i, j, swap) {
        for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j - 1] > list[j]; j--) {
            swap = list[j]; list[j] = list[j - 1]; list[j - 1] = swap
        }
        return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    function column(proxy, field,    list, round) {
        for (round = 1; round <= rounds; round++) list[round] = value[proxy, round, field]
        return median(list, rounds)
    }
    function cost(proxy, round) {
        return proxy == "mean off" ? (value["off", round, 4] + value["again", round, 4]) / 2 : value[proxy, round, 4]
    }
    function ratio(title, above, below,    list, round, error) {
        if (!(above in seen) || !(below in seen)) return
        for (round = 1; round <= rounds; round++) list[round] = cost(above, round) / cost(below, round)
        middle = median(list, rounds)
        # From the middle half, as if the ratios were normal: what stands out does not count.
        error = 2 * 0.93 * (list[int((3 * rounds + 3) / 4)] - list[int((rounds + 3) / 4)]) / sqrt(rounds)
        printf "%-28s %6.3f   %5.3f    %.3f to %.3f\n", title, middle, error, list[1], list[rounds]
        if (title != "cookie / off") return
        verdict = middle - error > budget ? "not met" : middle + error <= budget ? "met" : "it cannot be told in this noise"
    }
    { for (field = 3; field <= 6; field++) value[$2, $1, field] = $field; seen[$2] = 1; if ("off" in seen && "again" in seen) seen["mean off"] = 1; if ($1 > rounds) rounds = $1 }
    END {
        printf "%-12s %12s %16s %10s %10s\n", "", "requests/s", "CPU us/request", "p50 us", "p99 us"
        count = split("off cookie again header nginx haproxy", order, " ")
        for (i = 1; i <= count; i++) if (order[i] in seen)
            printf "%-12s %12.0f %16.2f %10.0f %10.0f\n", order[i] == "again" ? "off again" : order[i],
                column(order[i], 3), column(order[i], 4), column(order[i], 5), column(order[i], 6)
        printf "\n%-28s %6s   %5s    extremes of %d rounds\n", "CPU time per request", "median", "+-", rounds
        ratio("cookie / off", "cookie", "mean off")
        ratio("header / off", "header", "mean off")
        ratio("off again / off (noise)", "again", "off")
        ratio("cookie / nginx", "cookie", "nginx")
        ratio("cookie / haproxy", "cookie", "haproxy")
        if (verdict) printf "\ncookie / off is to be %.2f at most: %s\n", budget, verdict
    }' "$DIR/results"
}

# --- The run ---------------------------------------------------------------------------------

if [[ -z ${GATEWAY:-} ]]; then
    echo "building the gateway"
    root=$(cd "$(dirname "$0")/.." && pwd)
    timeout 900 cargo build --release -p gateway --manifest-path "$root/Cargo.toml" \
        --message-format=json-render-diagnostics >"$DIR/build.json" || fail "the gateway could not be built"
    GATEWAY=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$DIR/build.json" | tail -n 1)
fi
[[ -x $GATEWAY ]] || refuse "GATEWAY is '$GATEWAY', which cannot be run"

SECONDS=0
LIMIT=$(( ${#PROXIES[@]} * ROUNDS * SECONDS_EACH * 5 / 4 + 13 ))

start_endpoints
# The clients have the cookies of this one in any case.
start_gateway cookie cookie
! measures off || start_gateway off none
! measures again || start_gateway again none
! measures header || start_gateway header header
! measures nginx || start_peer_nginx
! measures haproxy || start_haproxy
make_clients
echo "$CLIENTS clients on $CONNECTIONS connections, 3 endpoints, $THREADS thread(s) for each proxy, $(nproc) CPUs," \
    "load average $(cut -d ' ' -f 1 /proc/loadavg)"
for proxy in "${PROXIES[@]}"; do
    # Connections are made, and sessions by header begin.
    load "$proxy" 1
    [[ $proxy == off || $proxy == again ]] || check_stickiness "$proxy"
done
for (( round = 1; round <= ROUNDS; round++ )); do
    if (( round > 1 && SECONDS + ${#PROXIES[@]} * SECONDS_EACH > LIMIT )); then
        echo "out of time after $(( round - 1 )) rounds"
        break
    fi
    for proxy in "${PROXIES[@]}"; do
        measure "$round" "$proxy"
    done
    echo "round $round of $ROUNDS: $(awk -v round="$round" '$1 == round { printf "%s %.2f  ", $2, $4 }' "$DIR/results")us CPU/request"
done
report
