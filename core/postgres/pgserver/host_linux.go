package pgserver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
)

// Host simulates another host for tests: a network namespace of this machine with a virtual cable
// to it. A server that the host should reach must listen on Here, see [Host.Options].
type Host struct {
	Here, There string // addresses of this end of the cable and of the other one
	namespace   string
	cable       string
}

var hosts atomic.Int64

// NewHost creates a host for a test and removes it when the test ends. It needs root and the
// program ip; without them the test is skipped.
func NewHost(t TB) *Host {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("another host is a network namespace, which needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("another host is a network namespace, which needs the program ip (Debian's package iproute2)")
	}
	// An address that is unique on this machine: from the process ID and the number of the host.
	n, pid := hosts.Add(1), os.Getpid()
	net := fmt.Sprintf("10.%d.%d", 200+int(n)%50, pid%250)
	h := &Host{Here: net + ".1", There: net + ".2", namespace: fmt.Sprintf("flujo-%d-%d", pid, n), cable: fmt.Sprintf("fl%x-%d", pid, n)}
	t.Cleanup(func() { _ = errors.Join(ip("link del "+h.cable), ip("netns del "+h.namespace)) }) // either may not exist
	err := func() error {
		for _, step := range []string{
			"netns add " + h.namespace,
			"link add " + h.cable + " type veth peer name eth0 netns " + h.namespace,
			"addr add " + h.Here + "/24 dev " + h.cable,
			"link set " + h.cable + " up",
			"-n " + h.namespace + " addr add " + h.There + "/24 dev eth0",
			"-n " + h.namespace + " link set eth0 up",
			"-n " + h.namespace + " link set lo up",
		} {
			if err := ip(step); err != nil {
				return err
			}
		}
		return nil
	}()
	if err != nil {
		t.Skip("another host is a network namespace, which this system does not allow: ", err)
	}
	return h
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Options returns o changed so that the host can reach the server.
func (h *Host) Options(o Options) Options {
	settings := map[string]string{"listen_addresses": h.Here}
	for name, value := range o.Settings {
		settings[name] = value
	}
	o.Settings = settings
	o.HBA += "local all all trust\nhost all all " + h.There + "/32 trust\n"
	return o
}

// DSN returns the address at which the host reaches a database of the server.
func (h *Host) DSN(s *Server, database string) string {
	return fmt.Sprintf("postgres://postgres@%s:%d/%s?sslmode=disable", h.Here, s.port, database)
}

// Command is like exec.Command, but runs the command on the host.
func (h *Host) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", h.namespace, name}, args...)...)
}

// nobody is a hardware address that no network card has.
const nobody = "02:00:00:00:be:ef"

// Cut makes each side send to a card that does not exist, so that all packets are lost silently.
func (h *Host) Cut() error {
	return errors.Join(ip("neigh replace "+h.There+" lladdr "+nobody+" nud permanent dev "+h.cable),
		ip("-n "+h.namespace+" neigh replace "+h.Here+" lladdr "+nobody+" nud permanent dev eth0"))
}

// Heal undoes Cut.
func (h *Host) Heal() error {
	return errors.Join(ip("neigh del "+h.There+" dev "+h.cable), ip("-n "+h.namespace+" neigh del "+h.Here+" dev eth0"))
}
