package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/flujo/flujo-harness/core/postgres/pgserver"
)

// authority signs the certificates of servers.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	a.file = filepath.Join(t.TempDir(), "ca.pem")
	if err == nil {
		err = os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// server starts a server with a certificate for names. It accepts TCP connections only with TLS.
// server returns its address without further parameters.
func (a *authority) server(names []string, ips ...net.IP) string {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), DNSNames: names, IPAddresses: ips, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	s := pgserver.For(a.t, pgserver.Options{TCP: true, Settings: map[string]string{"ssl": "on"}, HBA: "local all all trust\nhostssl all all 127.0.0.1/32 trust\n",
		Files: map[string][]byte{
			"server.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			"server.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		}})
	return fmt.Sprintf("postgres://postgres@%s/postgres", s.Address())
}

// With sslmode=verify-full a connection is only made if the server has the right name and a
// certificate of the right authority.
func TestTLSIsVerified(t *testing.T) {
	pgserver.Need(t)
	ours, theirs := newAuthority(t), newAuthority(t)
	good := ours.server(nil, net.IPv4(127, 0, 0, 1))
	misnamed := ours.server([]string{"db.example"})
	for _, tc := range []struct {
		name, dsn, mode string
		ca              *authority
		ok              bool
	}{
		{"the right one", good, "verify-full", ours, true},
		{"another authority", good, "verify-full", theirs, false},
		{"another name", misnamed, "verify-full", ours, false},
		{"without TLS", good, "disable", ours, false},
	} {
		b, err := Open(t.Context(), tc.dsn+"?sslmode="+tc.mode+"&sslrootcert="+url.QueryEscape(tc.ca.file), Server)
		if (err == nil) != tc.ok {
			t.Errorf("%s: error %v, want one: %v", tc.name, err, !tc.ok)
		}
		if err != nil {
			continue
		}
		var encrypted bool
		if err := b.pool.QueryRow(t.Context(), `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`).Scan(&encrypted); err != nil || !encrypted {
			t.Errorf("%s: encrypted %v, error %v", tc.name, encrypted, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
