package arch

import (
	"bytes"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

var (
	linkPattern    = regexp.MustCompile(`\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)`)
	headingPattern = regexp.MustCompile("^#{1,6} +(.*?) *#*$")
	codeSpan       = regexp.MustCompile("`[^`]*`")
	notInSlug      = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// CheckLinks finds links from one document to a file or heading that is not
// there. Links that leave the repository are not followed.
func CheckLinks(tree *Tree) []Violation {
	files := map[string]File{}
	for _, file := range tree.Files {
		files[file.Path] = file
	}
	var found []Violation
	for _, file := range tree.Files {
		if !strings.HasSuffix(file.Path, ".md") {
			continue
		}
		for number, line := range prose(file) {
			for _, match := range linkPattern.FindAllStringSubmatch(codeSpan.ReplaceAllString(line, ""), -1) {
				if broken := followLink(tree, files, file, match[1]); broken != "" {
					found = append(found, Violation{
						Path: file.Path, Line: number + 1, What: fmt.Sprintf("link %s: %s", match[1], broken),
						Why: "a reader follows it",
					})
				}
			}
		}
	}
	return found
}

// prose is the lines of a document with fenced code blanked, so that line
// numbers stay.
func prose(file File) []string {
	lines := strings.Split(string(file.Data), "\n")
	fenced := false
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		if fence || fenced {
			lines[i] = ""
		}
		fenced = fenced != fence
	}
	return lines
}

// followLink returns what is wrong with a link, or nothing.
func followLink(tree *Tree, files map[string]File, from File, link string) string {
	target, err := url.Parse(link)
	if err != nil {
		return "not a URL"
	}
	if target.Scheme != "" || target.Host != "" {
		return ""
	}
	name := from.Path
	if target.Path != "" {
		name = path.Join(from.Package(), target.Path)
	}
	file, isFile := files[name]
	if !isFile && !tree.Dirs[name] {
		return name + " is not there"
	}
	if target.Fragment != "" && strings.HasSuffix(name, ".md") && !hasHeading(file, target.Fragment) {
		return fmt.Sprintf("%s has no heading #%s", name, target.Fragment)
	}
	return ""
}

// hasHeading knows headings by the anchors that forges give them: lower case,
// punctuation dropped, spaces as hyphens, repeats numbered from 1.
func hasHeading(file File, anchor string) bool {
	seen := map[string]int{}
	for _, line := range prose(file) {
		match := headingPattern.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		slug := strings.ReplaceAll(notInSlug.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")
		numbered := slug
		if seen[slug] > 0 {
			numbered = fmt.Sprintf("%s-%d", slug, seen[slug])
		}
		seen[slug]++
		if numbered == anchor {
			return true
		}
	}
	return bytes.Contains(file.Data, []byte(`id="`+anchor+`"`))
}
