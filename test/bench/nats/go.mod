// The peer's client library stays out of the main module.
module github.com/troupe-mq/troupe/test/bench/nats

go 1.26.0

require (
	github.com/nats-io/nats.go v1.45.0
	github.com/troupe-mq/troupe v0.0.0
)

require (
	github.com/klauspost/compress v1.18.0 // indirect
	github.com/nats-io/nkeys v0.4.11 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.37.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/troupe-mq/troupe => ../../..
