package main

import "strings"

// behindFirst returns what stands behind the first statement's semicolon, if that is more than space and comments. The driver itself would run it,
// too, or not tell of it. A trigger has semicolons within; behind one, the driver runs nothing.
func behindFirst(text string) string {
	first := true // no semicolon yet
	for rest := skipBlank(text); rest != ""; rest = skipBlank(rest) {
		switch {
		case rest[0] == ';':
			first, rest = false, rest[1:]
		case !first:
			if definesTrigger(text) {
				return ""
			}
			return rest
		default:
			rest = rest[tokenEnd(rest):]
		}
	}
	return ""
}

// empty tells texts without any statement.
func empty(text string) bool {
	text = skipBlank(text)
	for strings.HasPrefix(text, ";") {
		text = skipBlank(text[1:])
	}
	return text == ""
}

// skipBlank drops leading space and comments.
func skipBlank(s string) string {
	for {
		s = strings.TrimLeft(s, " \t\n\f\r")
		mark, skip := "", 0
		switch {
		case strings.HasPrefix(s, "--"):
			mark = "\n"
		case strings.HasPrefix(s, "/*"):
			mark, skip = "*/", 2
		default:
			return s
		}
		_, rest, closed := strings.Cut(s[skip:], mark)
		if !closed {
			return ""
		}
		s = rest
	}
}

// tokenEnd returns where a token ends: a quoted one, or a single byte. A doubled quote is the end of one quoted token and the start of another.
func tokenEnd(s string) int {
	closing := map[byte]byte{'\'': '\'', '"': '"', '`': '`', '[': ']'}[s[0]]
	if closing == 0 {
		return 1
	}
	end := strings.IndexByte(s[1:], closing)
	if end < 0 {
		return len(s)
	}
	return end + 2
}

func definesTrigger(text string) bool {
	words := strings.Fields(strings.ToUpper(skipBlank(text)))
	return len(words) > 2 && words[0] == "CREATE" && (words[1] == "TRIGGER" || strings.HasPrefix(words[1], "TEMP") && words[2] == "TRIGGER")
}
