# shellcheck shell=bash disable=SC2154  # `dir` is the caller's
# What tools/up and tools/down share: which processes of a folder are alive, and how they are stopped.
# A pid file alone proves nothing, since numbers are used again: a process is ours when its command line names
# our folder. `dir` is the folder, absolute.

broker_pid_file() { echo "$dir/mosquitto.pid"; }
postgres_pid_file() { echo "$dir/postgres/postmaster.pid"; }
gateway_pid_file() { echo "$dir/gateway.pid"; }
phones_pid_file() { echo "$dir/phones.pid"; }

# The pid of a live process of ours, or nothing. Arguments: its pid file, an argument of its command line.
pid_alive() {
    local pid
    read -r pid _ 2>/dev/null <"$1" || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qxF -- "$2" || return 1
    echo "$pid"
}

broker_pid() { pid_alive "$(broker_pid_file)" "$dir/mosquitto.conf"; }
postgres_pid() { pid_alive "$(postgres_pid_file)" "$dir/postgres"; }
gateway_pid() { pid_alive "$(gateway_pid_file)" "$dir/mayday.conf"; }
phones_pid() { pid_alive "$(phones_pid_file)" "$dir/phones"; }

# Ends a process and waits until it is gone; after 30 seconds it is killed. Arguments: pid, signal.
end_process() {
    if ! kill "-$2" "$1" 2>/dev/null; then
        [ ! -d "/proc/$1" ] # gone already, or not ours to end
        return
    fi
    local turn
    for ((turn = 0; turn < 300; turn++)); do
        kill -0 "$1" 2>/dev/null || return 0
        # a child that ended stays visible until it is waited for
        [ "$(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null)" != Z ] || return 0
        sleep 0.1
    done
    kill -KILL "$1" 2>/dev/null || true
}

# Gateway and broker before the database, so that what they hold still reaches it.
stop_gateway() {
    local pid
    pid=$(gateway_pid) && end_process "$pid" TERM || return 1
    rm -f "$(gateway_pid_file)"
}
stop_phones() {
    local pid
    pid=$(phones_pid) && end_process "$pid" TERM || return 1
    rm -f "$(phones_pid_file)"
}
stop_broker() {
    local pid
    pid=$(broker_pid) && end_process "$pid" TERM || return 1
    rm -f "$(broker_pid_file)"
}
stop_postgres() {
    local pid
    pid=$(postgres_pid) && end_process "$pid" INT || return 1 # PostgreSQL's fast shutdown
}
