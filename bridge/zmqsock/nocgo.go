//go:build !cgo

package zmqsock

// Without cgo there is no libzmq. The name of the undefined value is the message to whoever builds.
var _ = troupe_needs_cgo__set_CGO_ENABLED_1_and_install_gcc_pkg_config_libzmq3_dev__or_run_make_setup
