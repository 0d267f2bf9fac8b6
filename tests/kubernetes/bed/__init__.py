"""A test bed that behaves as the nodes of a Kubernetes cluster do, in network namespaces.

network.py      pod addresses on bridges, one bridge a node; kube-proxy's rules for a Service
name_service.py the cluster's DNS: dnsmasq behind a cache or not, and one that misbehaves
odd_dns.py      that one, a program of its own
api_service.py  the API server of tests/kubernetes, in a process of its own (api_process.py)
flavours.py     what the manifests put into a pod's environment
pod.py          a pod: its agent, its log, how the kubelet ends it
job.py          the pod that rotates keys
bed.py          all of it together, with the controllers that make and replace pods
search.py       starts at once, many times (make bed-search)

Nothing here waits for luck: whatever must come about is polled for, with a bound.
"""
