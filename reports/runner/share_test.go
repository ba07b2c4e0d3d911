package runner

import (
	"fmt"
	"testing"
)

func TestEveryPackageIsInOneShare(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for place := range 7 {
			in := 0
			for i := 1; i <= n; i++ {
				var s Share
				if err := s.Set(fmt.Sprintf("%d/%d", i, n)); err != nil {
					t.Fatal(err)
				}
				if s.has(place) {
					in++
				}
			}
			if in != 1 {
				t.Errorf("package %d is in %d of %d shares", place, in, n)
			}
		}
	}
	for _, bad := range []string{"", "1", "0/2", "3/2", "1/0", "-1/2", "a/b", "1/2/3", "1 /2"} {
		if err := new(Share).Set(bad); err == nil {
			t.Errorf("--shard %q is accepted", bad)
		}
	}
	if !new(Share).has(3) {
		t.Error("without --shard a package is left out")
	}
}
