package wire

// CreditArg returns the arg of a CREDIT that lets the sender send up to limit bytes of a connection.
func CreditArg(limit uint64) uint32 { return uint32(limit >> 10) }

// CreditLimit returns the limit that arg means, given the limit in force: the next number of KiB equal to arg modulo 2^32.
// An arg that lies behind (RFC 1982) is no progress and returns the limit in force.
func CreditLimit(limit uint64, arg uint32) uint64 {
	step := arg - uint32(limit>>10)
	if int32(step) <= 0 {
		return limit
	}
	return (limit>>10 + uint64(step)) << 10
}
