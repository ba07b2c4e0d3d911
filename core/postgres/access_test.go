package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core"
	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// as returns the address of a backend's schema for another user.
func as(t testing.TB, b *Backend, user, password string) string {
	t.Helper()
	u, err := url.Parse(inSchema(b.server.config.ConnString(), b.server.schema))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(user)
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

func execute(t testing.TB, b *Backend, texts ...string) {
	t.Helper()
	conn := direct(t, b)
	for _, text := range texts {
		if _, err := conn.Exec(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// A role with the privileges from Grants can do everything that a backend does, but cannot create
// or change tables. A role for reading can only read.
func TestGrantsAreEnoughAndNoMore(t *testing.T) {
	owner := mustOpen(t, Server)
	writer, reader := "writer_"+owner.server.schema[:9], "reader_"+owner.server.schema[:9]
	schema := owner.server.schema
	execute(t, owner, `CREATE ROLE `+writer+` LOGIN`, `CREATE ROLE `+reader+` LOGIN`)
	_, err := Open(t.Context(), as(t, owner, writer, ""), Server)
	if code(err) != "42501" || !strings.Contains(err.Error(), "Grants") {
		t.Errorf("without a grant: error %v", err)
	}
	execute(t, owner, Grants(schema, writer, false)...)
	execute(t, owner, Grants(schema, reader, true)...)
	b := mustOpenAt(t, as(t, owner, writer, ""), Server)
	for _, d := range deeds {
		lease := d.prepare(t, b, d.name)
		err := d.do(b, d.name, lease)
		if err == nil {
			snap, loadErr := b.Load(t.Context(), keyed(d.name))
			if err = loadErr; err == nil {
				err = d.done(snap)
			}
		}
		if err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
	}
	r, err := OpenReader(t.Context(), as(t, owner, reader, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	runs, err := r.List(t.Context(), core.Filter{})
	if err != nil || len(runs) != len(deeds) {
		t.Errorf("%d runs, error %v; want %d", len(runs), err, len(deeds))
	}
	if _, err := r.Questions(t.Context(), core.Filter{}); err != nil {
		t.Error(err)
	}
	if _, err := r.Load(t.Context(), keyed("step")); err != nil {
		t.Error(err)
	}
	if n, _, err := b.Prune(t.Context(), core.PruneFilter{Before: at(100)}); err != nil || n != 2 {
		t.Errorf("%d runs were pruned, error %v; want 2", n, err)
	}
	for _, text := range []string{`DROP TABLE @.answers`, `ALTER TABLE @.runs ADD x int`, `CREATE TABLE @.x (y int)`, `TRUNCATE @.steps`,
		`UPDATE @.steps SET path = ''`, `UPDATE @.answers SET answer = ''`, `DELETE FROM @.plans`, `UPDATE @.flujo_version SET version = 99`} {
		if _, err := direct(t, b).Exec(t.Context(), qualify(text, owner.server.quoted())); code(err) != "42501" {
			t.Errorf("%s: error %v, want it refused", text, err)
		}
	}
	if b, err := Open(t.Context(), as(t, owner, reader, ""), Server); err == nil { // the tables exist, so it opens
		_, err := b.Start(t.Context(), startOf("by a reader"))
		if code(err) != "42501" {
			t.Errorf("a start by a reader: error %v", err)
		}
		_ = b.Close()
	}
}

// No error contains a password, whether or not the address can be parsed.
func TestPasswordsAreInNoError(t *testing.T) {
	pgserver.Need(t)
	const secret = "s3cr3t-p@ss:w/rd"
	s := pgserver.For(t, pgserver.Options{TCP: true, HBA: "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"})
	admin := mustOpenAt(t, s.DSN("postgres"), Server)
	execute(t, admin, `CREATE ROLE alice LOGIN PASSWORD '`+secret+`'`, `GRANT CREATE ON DATABASE postgres TO alice`)
	good := fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&search_path=alice", url.UserPassword("alice", secret), s.Address())
	b := mustOpenAt(t, good, Server)
	lease, err := b.Start(t.Context(), startOf("r"))
	if err != nil {
		t.Fatal(err)
	}
	escaped := url.UserPassword("alice", secret).String()
	for _, dsn := range []string{
		strings.Replace(good, "alice:", "bob:", 1),
		strings.Replace(good, "/postgres?", "/nowhere?", 1),
		strings.Replace(good, s.Address(), "127.0.0.1:1", 1),
		strings.Replace(good, s.Address(), "127.0.0.1:x", 1),
		strings.Replace(good, "sslmode=disable", "sslmode=often", 1),
		strings.Replace(good, "sslmode=disable", "sslmode=verify-full&sslrootcert=/nowhere", 1),
		strings.Replace(good, "%", "%zz", 1),
		"postgres://alice:" + secret + "@" + s.Address() + "/postgres",
		"host=127.0.0.1 port=1 user=alice password=" + secret,
		"host=127.0.0.1 port=x user=alice password=" + secret,
		"password='" + secret + "' user",
		strings.Replace(good, "search_path=alice", "search_path=a,b", 1),
	} {
		for _, open := range []func() error{
			func() error { _, err := Open(t.Context(), dsn, Server); return err },
			func() error { _, err := OpenReader(t.Context(), dsn); return err },
		} {
			err := open()
			if err == nil {
				t.Errorf("%s was opened", strings.ReplaceAll(dsn, secret, "…"))
				continue
			}
			for _, part := range []string{secret, escaped, "s3cr3t", "w/rd", "w%2Frd"} {
				if strings.Contains(err.Error(), part) {
					t.Errorf("the error shows %q: %v", part, err)
				}
			}
		}
	}
	// The same holds for the error of a write.
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	b.patience = 100_000_000
	if err := b.Step(t.Context(), lease, stepOf(1)); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a step without a server: error %v", err)
	}
}

// Settings of the server that break the promised durability are refused. The error says what to do.
func TestServerThatLiesIsRefused(t *testing.T) {
	pgserver.Need(t)
	for _, tc := range []struct {
		settings map[string]string
		want     string // part of the error for durability power; empty if it is accepted
	}{
		{map[string]string{"fsync": "off"}, "fsync is off"},
		{map[string]string{"full_page_writes": "off"}, "full_page_writes is off"},
		{map[string]string{"synchronous_commit": "off", "default_transaction_isolation": "serializable"}, ""}, // overridden for each connection
	} {
		s := pgserver.For(t, pgserver.Options{Settings: tc.settings})
		b, err := Open(t.Context(), s.DSN("postgres"), Power)
		if tc.want != "" {
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v: error %v, want %q", tc.settings, err, tc.want)
			}
			if b, err = Open(t.Context(), s.DSN("postgres"), Server); err != nil {
				t.Errorf("%v: the durability %q: %v", tc.settings, Server, err)
				continue
			}
		} else if err != nil {
			t.Errorf("%v: %v", tc.settings, err)
			continue
		}
		var commit, isolation string
		if err := b.pool.QueryRow(t.Context(), `SELECT current_setting('synchronous_commit'), current_setting('transaction_isolation')`).Scan(&commit, &isolation); err != nil {
			t.Error(err)
		}
		if commit != "on" || isolation != "read committed" {
			t.Errorf("%v: synchronous_commit is %s, isolation %s", tc.settings, commit, isolation)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Open(t.Context(), "postgres://nowhere", "OFF"); err == nil || !strings.Contains(err.Error(), `use "power" or "server"`) {
		t.Errorf("an unknown durability: error %v", err)
	}
}

// Tables of a newer version, tables of another program and missing tables give different errors,
// and nothing is changed.
func TestSchemaThatDoesNotFitIsRefused(t *testing.T) {
	b := mustOpen(t, Server)
	q := b.server.quoted()
	dsn := inSchema(b.server.config.ConnString(), b.server.schema)
	execute(t, b, `INSERT INTO `+q+`.flujo_version VALUES (99)`)
	var newer *ErrNewer
	if _, err := Open(t.Context(), dsn, Server); !errors.As(err, &newer) || newer.Has != 99 {
		t.Errorf("a newer schema: error %v", err)
	}
	if _, err := OpenReader(t.Context(), dsn); !errors.As(err, &newer) {
		t.Errorf("a newer schema, to read: error %v", err)
	}
	execute(t, b, `DROP TABLE `+q+`.flujo_version`)
	if _, err := Open(t.Context(), dsn, Server); err == nil || !strings.Contains(err.Error(), "table runs of another program") {
		t.Errorf("tables of another program: error %v", err)
	}
	empty := inSchema(dsn, "nothing "+b.server.schema)
	if _, err := OpenReader(t.Context(), empty); err == nil || !strings.Contains(err.Error(), "has no runs in the schema") {
		t.Errorf("no tables: error %v", err)
	}
	var there bool
	if err := b.pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, "nothing "+b.server.schema).Scan(&there); err != nil || there {
		t.Errorf("the reader made the schema: %v, error %v", there, err)
	}
}

// A schema of the first version is migrated when it is opened, and its runs go on.
func TestFirstVersionIsMigrated(t *testing.T) {
	b := mustOpen(t, Server)
	dsn := inSchema(b.server.config.ConnString(), b.server.schema)
	key := core.RunKey{Run: "r"}
	if _, err := b.Start(t.Context(), core.StartRecord{Key: key, Pipeline: "p", State: []byte("{}"), Time: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	q := b.server.quoted()
	execute(t, b, `ALTER TABLE `+q+`.runs DROP COLUMN releaser`)
	execute(t, b, `UPDATE `+q+`.runs SET nonce = 0`)
	execute(t, b, `DELETE FROM `+q+`.flujo_version WHERE version > 1`)
	b = mustOpenAt(t, dsn, Server)
	lease, _, err := b.Claim(t.Context(), key, 0)
	if err == nil {
		err = b.Step(t.Context(), lease, core.StepRecord{Seq: 1, Path: "s1", Status: core.Completed, Started: time.Unix(1, 0), Ended: time.Unix(1, 0)})
	}
	if err != nil || lease.Epoch != 2 || lease.Nonce == 0 {
		t.Errorf("%+v, %v", lease, err)
	}
}

// If many processes open an empty schema at the same time, its tables are created once.
func TestMigrationsAtOnce(t *testing.T) {
	pgserver.Need(t)
	dsn := dsnOf(t.TempDir())
	errs := make(chan error)
	const many = 8
	for range many {
		go func() {
			b, err := Open(t.Context(), dsn, Server)
			if err == nil {
				err = b.Close()
			}
			errs <- err
		}()
	}
	for range many {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	b := mustOpenAt(t, dsn, Server)
	var versions int
	if err := b.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+b.server.quoted()+`.flujo_version`).Scan(&versions); err != nil || versions != 2 {
		t.Errorf("%d versions, error %v; want 2", versions, err)
	}
}
