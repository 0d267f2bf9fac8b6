"""The local cluster: what Kubernetes does for a Service called serf, in small.

commands.py    what a person or a test types; waits for the replicas to find each other
supervisor.py  one background process a cluster: owns the replicas, ends when they do
pods.py        a replica's name, address, environment and command line
namespaces.py  replicas in network namespaces, nftables as the service address
loopback.py    replicas on loopback addresses, a forwarder as the service address
kernel.py      the few system calls that Python 3.11 lacks
state.py       the files of one cluster: lock, socket, state, logs
"""
