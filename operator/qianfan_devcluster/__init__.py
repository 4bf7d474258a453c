"""A throw-away Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager as local processes."""
