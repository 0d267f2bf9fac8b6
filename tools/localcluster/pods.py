"""What a replica gets from Kubernetes: a name, an address, an environment, a command line."""

import random

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, no lookalikes
PORT = 7946
HTTP_PORT = 7374


class Pod:
    def __init__(self, index, name, address, by_hand=False):
        self.index = index
        self.name = name
        self.address = address
        self.by_hand = by_hand  # holds a command started with `run`; no replica
        self.client = None  # the process that `run` is
        self.process = None
        self.started = None  # monotonic seconds
        self.in_service = False

    def describe(self):
        return {
            "name": self.name,
            "address": self.address,
            "by_hand": self.by_hand,
            "pid": self.process.pid if self.process else None,
            "in_service": self.in_service,
        }


def choose_name(taken):
    while True:
        name = "serf-" + "".join(random.choices(NAME_ALPHABET, k=5))
        if name not in taken:
            return name


def choose_address(prefix, taken):
    """Some host of some machine of the cluster; .0 and .1 are the machine's own."""
    while True:
        address = f"{prefix}.{random.randint(2, 99)}.{random.randint(2, 250)}"
        if address not in taken:
            return address


def gateway_of(address):
    return address.rsplit(".", 1)[0] + ".1"


def http_address(mode, address):
    """As the image has it, where a replica has a network of its own."""
    return f"{address}:{HTTP_PORT}" if mode == "loopback" else f":{HTTP_PORT}"


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def behind_gate(command):
    """The command, which begins when its standard input, the gate, is closed."""
    return ["/bin/sh", "-c", 'read -r _; exec "$0" "$@" </dev/null', *command]


def container_environment(name, config_directory, program_directory):
    """What the image sets, but for the agent's settings, and the pod's name."""
    return {
        "HOSTNAME": name,
        "HOME": "/home/serf",
        "PATH": f"{program_directory}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SERF_CONFDIR": config_directory,
        "SERF_APPDIR": program_directory,
    }


def service_links(service):
    """What Kubernetes injects for a Service called serf."""
    tcp, udp = f"tcp://{bracketed(service)}:{PORT}", f"udp://{bracketed(service)}:{PORT}"
    return {
        "SERF_SERVICE_HOST": service,
        "SERF_SERVICE_PORT": str(PORT),
        "SERF_SERVICE_PORT_SERF_TCP": str(PORT),
        "SERF_SERVICE_PORT_SERF_UDP": str(PORT),
        "SERF_PORT": tcp,
        "SERF_PORT_7946_TCP": tcp,
        "SERF_PORT_7946_TCP_ADDR": service,
        "SERF_PORT_7946_TCP_PORT": str(PORT),
        "SERF_PORT_7946_TCP_PROTO": "tcp",
        "SERF_PORT_7946_UDP": udp,
        "SERF_PORT_7946_UDP_ADDR": service,
        "SERF_PORT_7946_UDP_PORT": str(PORT),
        "SERF_PORT_7946_UDP_PROTO": "udp",
    }


def api_server_links(api_server):
    """What Kubernetes injects into every pod."""
    api = f"tcp://{bracketed(api_server)}:443"
    return {
        "KUBERNETES_SERVICE_HOST": api_server,
        "KUBERNETES_SERVICE_PORT": "443",
        "KUBERNETES_PORT": api,
        "KUBERNETES_PORT_443_TCP": api,
        "KUBERNETES_PORT_443_TCP_ADDR": api_server,
        "KUBERNETES_PORT_443_TCP_PORT": "443",
        "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
    }


def environment(name, http, service, api_server, config_directory, program_directory):
    """The environment of a container of a pod beside a Service called serf."""
    return {**container_environment(name, config_directory, program_directory),
            "SERF_AGENT_HTTP_ADDR": http, "SERF_AGENT_RETRY_WATCH": "true",
            **service_links(service), **api_server_links(api_server)}
