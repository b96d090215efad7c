package access

import (
	"fmt"
	"slices"
	"strings"
)

// All stands for every service.
const All = "*"

// Services are names of services, sorted; All alone stands for every one.
type Services []string

// Has reports whether a service is among them.
func (s Services) Has(name string) bool {
	if len(s) == 1 && s[0] == All {
		return true
	}
	_, found := slices.BinarySearch(s, name)
	return found
}

// String returns the names as the file has them.
func (s Services) String() string { return strings.Join(s, ",") }

// maxService is that of hit.md.
const maxService = 128

// ParseServices reads names between commas. Names with a comma cannot be listed; All covers them.
func ParseServices(list string) (Services, error) {
	var all Services
	for name := range strings.SplitSeq(list, ",") {
		if name == "" || len(name) > maxService {
			return nil, fmt.Errorf("a service's name has %d bytes in %q: from 1 to %d are possible, between commas, or * for all", len(name), list, maxService)
		}
		for _, c := range []byte(name) {
			if c <= ' ' || c > '~' {
				return nil, fmt.Errorf("service name %q: only printable ASCII without blanks is possible", name)
			}
		}
		all = append(all, name)
	}
	return all.tidy(), nil
}

// tidy sorts names, each once; All swallows the others.
func (s Services) tidy() Services {
	if slices.Contains(s, All) {
		return Services{All}
	}
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

// Rights are what a key may. The zero value may nothing.
type Rights struct {
	Client Services // may open hits of these
	Worker Services // may serve these
	Admin  bool     // may list, and end hits
}

// Empty reports whether the rights are none.
func (r Rights) Empty() bool { return len(r.Client) == 0 && len(r.Worker) == 0 && !r.Admin }

// With returns both together.
func (r Rights) With(more Rights) Rights {
	both := func(a, b Services) Services { return slices.Concat(a, b).tidy() }
	return Rights{Client: both(r.Client, more.Client), Worker: both(r.Worker, more.Worker), Admin: r.Admin || more.Admin}
}

// words are the rights as the file has them.
func (r Rights) words() []string {
	var words []string
	if len(r.Client) > 0 {
		words = append(words, "client="+r.Client.String())
	}
	if len(r.Worker) > 0 {
		words = append(words, "worker="+r.Worker.String())
	}
	if r.Admin {
		words = append(words, "admin")
	}
	return words
}

// String returns the rights as a line of the file has them; "none" if there are none.
func (r Rights) String() string {
	if r.Empty() {
		return "none"
	}
	return strings.Join(r.words(), " ")
}

// add takes one word of a line.
func (r *Rights) add(word string) error {
	kind, list, listed := strings.Cut(word, "=")
	switch {
	case word == "admin" && !r.Admin:
		r.Admin = true
		return nil
	case listed && kind == "client" && r.Client == nil:
		var err error
		r.Client, err = ParseServices(list)
		return err
	case listed && kind == "worker" && r.Worker == nil:
		var err error
		r.Worker, err = ParseServices(list)
		return err
	case word == "admin" || kind == "client" && listed || kind == "worker" && listed:
		return fmt.Errorf("%q comes twice: write it once, with all services between commas", kind)
	}
	return fmt.Errorf("%q is no right: there are client=SERVICE,... and worker=SERVICE,... (* for all), and admin", word)
}
