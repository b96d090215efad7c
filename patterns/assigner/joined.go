package assigner

import "errors"

// joined is errors.Join, but a single error stays itself.
func joined(errs []error) error {
	var one error
	n := 0
	for _, err := range errs {
		if err != nil {
			one = err
			n++
		}
	}
	if n <= 1 {
		return one
	}
	return errors.Join(errs...)
}
