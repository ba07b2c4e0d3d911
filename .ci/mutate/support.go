package main

// supportText is compiled into the mutated package. Mutant 0 is none.
const supportText = `package PACKAGE

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var (
	mutateActive, _ = strconv.Atoi(os.Getenv("MUTATE_ID"))
	mutateReached   = os.Getenv("MUTATE_REACHED")
	mutateSeen      [LAST + 3]atomic.Bool
)

func mutateIs(id int) bool {
	if mutateReached != "" && !mutateSeen[id].Swap(true) {
		f, err := os.OpenFile(mutateReached, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, id)
		f.Close()
	}
	return mutateActive == id
}

type mutateNumber interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr | ~float32 | ~float64
}
type mutateInteger interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func mutateNot[T ~bool](id int, v T) T { return v != T(mutateIs(id)) }

func mutateAnd[T ~bool](id int, a T, b func() bool) bool {
	if mutateIs(id) {
		return bool(a) || b()
	}
	return bool(a) && b()
}

func mutateOr[T ~bool](id int, a T, b func() bool) bool {
	if mutateIs(id) {
		return bool(a) && b()
	}
	return bool(a) || b()
}

func mutateLess[T cmp.Ordered](id int, a, b T) bool {
	if mutateIs(id) {
		return a <= b
	}
	return (a < b) != mutateIs(id+1)
}

func mutateLessEqual[T cmp.Ordered](id int, a, b T) bool {
	if mutateIs(id) {
		return a < b
	}
	return (a <= b) != mutateIs(id+1)
}

func mutateGreater[T cmp.Ordered](id int, a, b T) bool {
	if mutateIs(id) {
		return a >= b
	}
	return (a > b) != mutateIs(id+1)
}

func mutateGreaterEqual[T cmp.Ordered](id int, a, b T) bool {
	if mutateIs(id) {
		return a > b
	}
	return (a >= b) != mutateIs(id+1)
}

func mutateAdd[T mutateNumber](id int, a, b T) T {
	if mutateIs(id) {
		return a - b
	}
	return a + b
}

func mutateSubtract[T mutateNumber](id int, a, b T) T {
	if mutateIs(id) {
		return a + b
	}
	return a - b
}

func mutateMultiply[T mutateNumber](id int, a, b T) T {
	if mutateIs(id) {
		return a / b
	}
	return a * b
}

func mutateDivide[T mutateNumber](id int, a, b T) T {
	if mutateIs(id) {
		return a * b
	}
	return a / b
}

func mutateRemainder[T mutateInteger](id int, a, b T) T {
	if mutateIs(id) {
		return a * b
	}
	return a % b
}

func mutateNegate[T mutateNumber](id int, v T) T {
	if mutateIs(id) {
		return -v
	}
	return v
}
`
