package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// driverName is the driver whose connections know the function os_thread(): the thread that SQLite runs a statement on, in its own words.
const driverName = "sqlite3 with os_thread"

func init() {
	sql.Register(driverName, &sqlite3.SQLiteDriver{ConnectHook: func(c *sqlite3.SQLiteConn) error {
		c.SetLimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0) // a client has the operator's file, and no other
		return c.RegisterFunc("os_thread", func() int64 { return int64(unix.Gettid()) }, false)
	}})
}

// openDatabase opens the file, which need not exist, and puts it into WAL mode, which stays with the file: readers and a writer do not wait for
// each other.
func openDatabase(ctx context.Context, file string) (*sql.DB, error) {
	whole, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("the database %q: %w", file, err)
	}
	db, err := sql.Open(driverName, (&url.URL{Scheme: "file", Path: whole}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(0) // a connection ends with its hit, on its hit's thread, and is never another one's
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL"); err != nil {
		db.Close()
		return nil, fmt.Errorf("the database %s cannot be used: %w: is it an SQLite file, and may this user write it and its folder?", file, err)
	}
	return db, nil
}
