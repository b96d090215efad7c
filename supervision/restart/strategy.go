package restart

import "fmt"

// Strategy says whom the restart of one child concerns.
// The zero value is OneForOne, as in OTP.
type Strategy uint8

const (
	// OneForOne restarts the child that ended, and nobody else.
	OneForOne Strategy = iota
	// AllForOne (OTP's one_for_all) stops all other children, then starts all of them.
	AllForOne
	// RestForOne stops the children that were started after the one that ended,
	// then starts it and them.
	RestForOne
)

var strategyNames = [...]string{"one-for-one", "all-for-one", "rest-for-one"}

// String returns the strategy's name.
func (s Strategy) String() string {
	if !s.Valid() {
		return fmt.Sprintf("restart.Strategy(%d)", uint8(s))
	}
	return strategyNames[s]
}

// Valid reports whether s is one of the three strategies.
func (s Strategy) Valid() bool { return int(s) < len(strategyNames) }

// AutoShutdown says whether a supervisor ends by itself when its significant
// children have. The zero value is Never, as in OTP.
type AutoShutdown uint8

const (
	// Never means that no child may be significant.
	Never AutoShutdown = iota
	// AnySignificant ends the supervisor with the first significant child that
	// ended by itself and is not started again.
	AnySignificant
	// AllSignificant ends it with the last one.
	AllSignificant
)

var autoShutdownNames = [...]string{"never", "any-significant", "all-significant"}

// String returns the name.
func (a AutoShutdown) String() string {
	if !a.Valid() {
		return fmt.Sprintf("restart.AutoShutdown(%d)", uint8(a))
	}
	return autoShutdownNames[a]
}

// Valid reports whether a is one of the three.
func (a AutoShutdown) Valid() bool { return int(a) < len(autoShutdownNames) }
