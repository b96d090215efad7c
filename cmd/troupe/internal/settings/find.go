package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Places returns the paths at which a file is looked for when none is named, in order.
func Places(getenv func(string) string) []string {
	places := []string{"troupe.yaml"}
	switch base, home := getenv("XDG_CONFIG_HOME"), getenv("HOME"); {
	case filepath.IsAbs(base):
		places = append(places, filepath.Join(base, "troupe", "config.yaml"))
	case filepath.IsAbs(home):
		places = append(places, filepath.Join(home, ".config", "troupe", "config.yaml"))
	}
	return append(places, "/etc/troupe/config.yaml")
}

// Find returns the first of the places where there is a file, "" if there is none. A file can name commands to run, so one that another user could
// have put there is an error; a file that somebody names is not looked at so.
func Find(places []string) (string, error) {
	for _, path := range places {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case err != nil:
			return "", fmt.Errorf("the configuration file cannot be read: %w: make it readable, or name another one with --config", err)
		}
		if err := trusted(path, info, os.Getuid()); err != nil {
			return "", err
		}
		return path, nil
	}
	return "", nil
}

func trusted(path string, info fs.FileInfo, me int) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && int(stat.Uid) != me && stat.Uid != 0 {
		return fmt.Errorf("the configuration file %s belongs to another user (uid %d), who could let this command run anything: if you trust it, name it with --config %s", path, stat.Uid, path)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("everybody may change the configuration file %s (mode %04o): chmod o-w it, or name it with --config %s if you trust it", path, info.Mode().Perm(), path)
	}
	return nil
}
