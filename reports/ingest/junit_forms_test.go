package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flujo/flujo-harness/reports"
	gocmp "github.com/google/go-cmp/cmp"
)

// forms are short results in the forms of well-known producers, after their
// documentation: what they mean, and where the first failure is.
var forms = map[string]struct {
	text     string
	counts   reports.Counts
	failures int    // that no spec carries
	at       string // file and line of the first failure
	notes    int
}{
	"unittest-xml-reporting": {`<testsuites><testsuite name="tests.test_cart.TestCart-20261128100000" tests="2" file="tests/test_cart.py" time="0.001" timestamp="2026-11-28T10:00:00" failures="1" errors="0" skipped="0">
<testcase classname="tests.test_cart.TestCart" name="test_add" time="0.001" timestamp="2026-11-28T10:00:00" file="tests/test_cart.py" line="4"/>
<testcase classname="tests.test_cart.TestCart" name="test_remove" time="0.000" file="tests/test_cart.py" line="7"><failure type="AssertionError" message="1 != 2"><![CDATA[Traceback (most recent call last):
  File "/src/tests/test_cart.py", line 9, in test_remove
    self.assertEqual(1, 2)
AssertionError: 1 != 2
]]></failure></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "tests/test_cart.py:9", 0},
	"cypress": {`<testsuites name="Mocha Tests" time="1.5" tests="2" failures="1"><testsuite name="Root Suite" timestamp="2026-11-28T10:00:00" tests="0" file="cypress/e2e/cart.cy.js" time="0.000" failures="0"></testsuite>
<testsuite name="Cart" timestamp="2026-11-28T10:00:00" tests="2" time="1.5" failures="1"><testcase name="Cart adds" time="1.0" classname="adds"></testcase>
<testcase name="Cart removes" time="0.5" classname="removes"><failure message="expected 1 to equal 2" type="AssertionError"><![CDATA[AssertionError: expected 1 to equal 2
    at Context.eval (webpack:///./cypress/e2e/cart.cy.js:9:20)]]></failure></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "", 0},
	"mocha hooks": {`<testsuites name="Mocha Tests" tests="1" failures="1"><testsuite name="Cart" tests="1" failures="1"><testcase name="Cart &quot;before each&quot; hook for &quot;adds&quot;" classname="&quot;before each&quot; hook for &quot;adds&quot;"><failure message="no db" type="Error"><![CDATA[Error: no db
    at Context.<anonymous> (test/cart.js:3:9)
    at process.processImmediate (node:internal/timers:476:21)]]></failure></testcase></testsuite></testsuites>`, reports.Counts{Failed: 1}, 0, "test/cart.js:3", 0},
	"karma": {`<testsuite name="Chrome Headless 131.0.0.0 (Linux x86_64)" package="" timestamp="2026-11-28T10:00:00" id="0" hostname="ci" tests="2" errors="1" failures="0" time="0.01"><properties><property name="browser.fullName" value="Mozilla/5.0"/></properties>
<testcase name="Cart adds" time="0.005" classname="Chrome_Headless.Cart"/><testcase name="Cart prints" time="0" classname="Chrome_Headless.Cart"><skipped/></testcase><system-out><![CDATA[]]></system-out><system-err/></testsuite>`, reports.Counts{Passed: 1, Skipped: 1}, 1, "", 1}, // the browser went away
	"surefire": {`<testsuite name="shop.CartTest" time="0.1" tests="2" errors="0" skipped="0" failures="1"><testcase name="adds" classname="shop.CartTest" time="0.01"/>
<testcase name="removes" classname="shop.CartTest" time="0.01"><failure message="expected 1" type="java.lang.AssertionError"><![CDATA[java.lang.AssertionError: expected 1
	at org.junit.Assert.fail(Assert.java:89)
	at shop.CartTest.removes(CartTest.java:12)]]></failure><system-out><![CDATA[printed]]></system-out></testcase></testsuite>`, reports.Counts{Passed: 1, Failed: 1}, 0, "CartTest.java:12", 0},
	"surefire, attempts as tests":            {`<testsuite name="shop.CartTest" time="0.1" tests="3" errors="1" skipped="0" failures="1"><testcase name="adds" classname="shop.CartTest" time="0.01"><flakyFailure message="x" type="java.lang.AssertionError"><stackTrace>x</stackTrace></flakyFailure><flakyError message="y" type="java.io.IOException"><stackTrace>y</stackTrace></flakyError></testcase></testsuite>`, reports.Counts{Passed: 1, Retried: 1}, 0, "", 0},
	"surefire, attempts that all failed":     {`<testsuite name="shop.CartTest" time="0.1" tests="4" errors="0" skipped="0" failures="3"><testcase name="adds" classname="shop.CartTest" time="0.01"><failure message="x" type="java.lang.AssertionError">x</failure><rerunFailure message="x" type="java.lang.AssertionError"><stackTrace>x</stackTrace></rerunFailure><rerunFailure message="x" type="java.lang.AssertionError"><stackTrace>x</stackTrace></rerunFailure></testcase><testcase name="pays" classname="shop.CartTest" time="0.01"/></testsuite>`, reports.Counts{Passed: 1, Failed: 1}, 0, "", 0},
	"surefire, a failure that no attempt is": {`<testsuite name="shop.CartTest" time="0.1" tests="3" errors="0" skipped="0" failures="3"><testcase name="adds" classname="shop.CartTest" time="0.01"><flakyFailure message="x" type="java.lang.AssertionError"><stackTrace>x</stackTrace></flakyFailure><flakyFailure message="x" type="java.lang.AssertionError"><stackTrace>x</stackTrace></flakyFailure></testcase></testsuite>`, reports.Counts{Passed: 1, Retried: 1}, 1, "", 1},
	"gradle with reruns": {`<testsuite name="shop.CartTest" tests="2" skipped="0" failures="1" errors="0" timestamp="2026-11-28T10:00:00" hostname="ci" time="0.1"><properties/><testcase name="adds()" classname="shop.CartTest" time="0.01"><failure message="x" type="java.lang.AssertionError">java.lang.AssertionError: x
	at shop.CartTest.adds(CartTest.kt:5)</failure></testcase><testcase name="adds()" classname="shop.CartTest" time="0.01"/><system-out><![CDATA[]]></system-out><system-err><![CDATA[]]></system-err></testsuite>`, reports.Counts{Passed: 1, Failed: 1}, 0, "CartTest.kt:5", 1},
	"gradle that merges reruns": {`<testsuite name="shop.CartTest" tests="1" skipped="0" failures="0" errors="0" hostname="ci" time="0.1"><properties/><testcase name="adds()" classname="shop.CartTest" time="0.01"><flakyFailure message="x" type="java.lang.AssertionError"><stackTrace>java.lang.AssertionError: x</stackTrace></flakyFailure></testcase></testsuite>`, reports.Counts{Passed: 1, Retried: 1}, 0, "", 0},
	"TestNG, data and a retry":  {`<testsuite hostname="ci" name="shop.PriceTest" tests="5" failures="1" timestamp="2026-11-28T10:00:00" time="0.02" errors="0" skipped="1"><testcase name="rounds" time="0.01" classname="shop.PriceTest"/><testcase name="rounds" time="0.01" classname="shop.PriceTest"><failure type="java.lang.AssertionError" message="3"/></testcase><testcase name="rounds" time="0.01" classname="shop.PriceTest"/><testcase name="pays" classname="shop.PriceTest"><skipped/></testcase><testcase name="pays" classname="shop.PriceTest"/></testsuite>`, reports.Counts{Passed: 3, Failed: 1, Skipped: 1}, 0, "", 1},
	"PHPUnit": {`<testsuites><testsuite name="default" tests="2" assertions="2" errors="0" warnings="0" failures="1" skipped="0" time="0.004"><testsuite name="CartTest" file="/src/tests/CartTest.php" tests="2" assertions="2" errors="0" warnings="0" failures="1" skipped="0" time="0.004"><testcase name="testAdd" class="CartTest" classname="CartTest" file="/src/tests/CartTest.php" line="5" assertions="1" time="0.003"/><testcase name="testRemove" class="CartTest" classname="CartTest" file="/src/tests/CartTest.php" line="9" assertions="1" time="0.001"><failure type="PHPUnit\Framework\ExpectationFailedException">CartTest::testRemove
Failed asserting that 1 matches expected 2.

/src/tests/CartTest.php:11</failure></testcase></testsuite></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "tests/CartTest.php:11", 0},
	"rspec_junit_formatter": {`<testsuite name="rspec" tests="3" skipped="1" failures="1" errors="0" time="0.1" timestamp="2026-11-28T10:00:00+00:00" hostname="ci"><properties><property name="seed" value="1234"/></properties><testcase classname="spec.cart_spec" name="Cart adds" file="./spec/cart_spec.rb" time="0.001"></testcase><testcase classname="spec.cart_spec" name="Cart prints" file="./spec/cart_spec.rb" time="0"><skipped/></testcase><testcase classname="spec.cart_spec" name="Cart removes" file="./spec/cart_spec.rb" time="0.01"><failure message="expected: 2" type="RSpec::Expectations::ExpectationNotMetError">Failure/Error: expect(1).to eq(2)
./spec/cart_spec.rb:9:in 'block (2 levels)'</failure></testcase></testsuite>`, reports.Counts{Passed: 1, Failed: 1, Skipped: 1}, 0, "spec/cart_spec.rb:9", 1},
	"GoogleTest": {`<testsuites tests="4" failures="1" disabled="1" errors="0" time="0.01" timestamp="2026-11-28T10:00:00.000" name="AllTests"><testsuite name="Cart" tests="4" failures="1" disabled="1" skipped="1" errors="0" time="0.01" timestamp="2026-11-28T10:00:00.000"><testcase name="Adds" file="cart_test.cc" line="3" status="run" result="completed" time="0.001" timestamp="2026-11-28T10:00:00.000" classname="Cart"><failure message="cart_test.cc:5&#x0A;Expected equality" type=""><![CDATA[cart_test.cc:5
Expected equality]]></failure><failure message="cart_test.cc:6&#x0A;Expected equality, again" type=""/></testcase><testcase name="DISABLED_Later" file="cart_test.cc" line="9" status="notrun" result="suppressed" time="0" classname="Cart"/><testcase name="Skips" status="run" result="skipped" time="0" classname="Cart"><skipped message="cart_test.cc:12&#x0A;no printer"/></testcase><testcase name="Works/0" value_param="1" status="run" result="completed" time="0" classname="Cart"/></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1, Skipped: 2}, 0, "cart_test.cc:5", 0},
	"CTest": {`<testsuite name="(empty)" tests="3" failures="1" disabled="0" skipped="1" hostname="" time="0" timestamp="2026-11-28T10:00:00"><testcase name="a" classname="a" time="0.01" status="run"><system-out>x</system-out></testcase><testcase name="b" classname="b" time="0.01" status="fail"><failure message="Failed"/><system-out>boom</system-out></testcase><testcase name="c" classname="c" time="0" status="notrun"><skipped message="Disabled"/></testcase></testsuite>`, reports.Counts{Passed: 1, Failed: 1, Skipped: 1}, 0, "", 0},
	"cargo nextest": {`<testsuites name="nextest-run" tests="2" failures="1" errors="0" uuid="6a" timestamp="2026-11-28T10:00:00.000+00:00" time="0.02"><testsuite name="shop" tests="2" disabled="0" errors="0" failures="1"><testcase name="tests::adds" classname="shop" timestamp="2026-11-28T10:00:00.000+00:00" time="0.003"><flakyFailure timestamp="2026-11-28T10:00:00.000+00:00" time="0.004" message="thread 'tests::adds' panicked at src/lib.rs:8:9" type="test failure with exit code 101">thread 'tests::adds' panicked at src/lib.rs:8:9:
once<system-out>running 1 test</system-out></flakyFailure></testcase><testcase name="tests::removes" classname="shop" time="0.003"><failure message="thread 'tests::removes' panicked at src/lib.rs:15:9" type="test failure with exit code 101">thread 'tests::removes' panicked at src/lib.rs:15:9:
assertion failed</failure><rerunFailure message="again" type="test failure"/><system-out>running 1 test</system-out></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1, Retried: 1}, 0, "src/lib.rs:15", 0},
	"swift test": {`<testsuites><testsuite name="TestResults" errors="0" tests="2" failures="1" skipped="0" time="0.1"><testcase classname="ShopTests.CartTests" name="testAdd" time="0.1"></testcase><testcase classname="ShopTests.CartTests" name="testRemove" time="0.1"><failure message="failed"></failure></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "", 0},
	"Bazel":      {`<testsuites><testsuite name="cart/cart_test" tests="1" failures="0" errors="1"><testcase name="cart/cart_test" status="run" duration="5" time="5"><error message="exited with error code 1"></error></testcase><system-out>log</system-out></testsuite></testsuites>`, reports.Counts{Failed: 1}, 0, "", 1},
	"ExUnit": {`<testsuites><testsuite errors="0" failures="1" name="Elixir.CartTest" tests="2" time="0.01"><properties><property name="seed" value="1"/></properties><testcase classname="Elixir.CartTest" file="test/cart_test.exs" name="test adds" time="0.01"/><testcase classname="Elixir.CartTest" file="test/cart_test.exs" name="test removes" time="0.01"><failure message="error: Assertion with == failed">  1) test removes (CartTest)
     test/cart_test.exs:8
     Assertion with == failed</failure></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "test/cart_test.exs:8", 1},
	"behave":                 {`<testsuite name="cart.Cart" tests="3" errors="0" failures="1" skipped="1" time="0.1" timestamp="2026-11-28T10:00:00" hostname="ci"><testcase classname="cart.Cart" name="adds" status="passed" time="0.1"><system-out><![CDATA[x]]></system-out></testcase><testcase classname="cart.Cart" name="removes" status="failed" time="0.1"><failure type="AssertionError" message="1 != 2"><![CDATA[Location: features/cart.feature:9]]></failure></testcase><testcase classname="cart.Cart" name="later" status="untested" time="0"><skipped/></testcase></testsuite>`, reports.Counts{Passed: 1, Failed: 1, Skipped: 1}, 0, "", 0},
	"Robot Framework":        {`<testsuite name="Cart" tests="3" errors="0" failures="1" skipped="1" time="0.3" timestamp="2026-11-28T10:00:00.000"><testsuite name="Till" tests="3" errors="0" failures="1" skipped="1" time="0.3"><testcase classname="Cart.Till" name="Adds" time="0.1"/><testcase classname="Cart.Till" name="Removes" time="0.1"><failure message="1 != 2" type="AssertionError"/></testcase><testcase classname="Cart.Till" name="Later" time="0"><skipped message="no printer" type="SkipExecution"/></testcase></testsuite></testsuite>`, reports.Counts{Passed: 1, Failed: 1, Skipped: 1}, 0, "", 0},
	"Cucumber with outlines": {`<testsuite name="Cucumber" time="0.1" tests="3" skipped="0" failures="1" errors="0"><testcase classname="Cart" name="adds" time="0.01"/><testcase classname="Cart" name="adds" time="0.01"><failure type="AssertionError" message="x"/></testcase><testcase classname="Cart" name="adds" time="0.01"/></testsuite>`, reports.Counts{Passed: 2, Failed: 1}, 0, "", 1},
	"ESLint":                 {`<testsuites><testsuite package="org.eslint" time="0" tests="2" errors="2" name="/src/a.js"><testcase time="0" name="org.eslint.no-undef" classname="/src/a"><failure message="x"><![CDATA[line 3, col 1, Error]]></failure></testcase><testcase time="0" name="org.eslint.no-undef" classname="/src/a"><failure message="y"/></testcase></testsuite><testsuite package="org.eslint" time="0" tests="1" errors="0" name="/src/b.js"><testcase time="0" name="/src/b.js" classname="/src/b"/></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 2}, 0, "", 0},
	"golangci-lint":          {`<testsuites><testsuite name="cart/cart.go" tests="1" errors="0" failures="1"><testcase name="errcheck" classname="cart/cart.go:9:5"><failure message="cart/cart.go:9:5: unchecked" type="error"><![CDATA[error: unchecked]]></failure></testcase></testsuite></testsuites>`, reports.Counts{Failed: 1}, 0, "", 0},
	"JunitXml.TestLogger":    {`<testsuites><testsuite name="Shop.Tests.dll" tests="2" skipped="0" failures="1" errors="0" time="0.1" timestamp="2026-11-28T10:00:00" hostname="ci" id="0" package="Shop.Tests.dll"><properties/><testcase classname="Shop.Tests.CartTests" name="Adds(n: 1)" time="0.001"/><testcase classname="Shop.Tests.CartTests" name="Adds(n: 2)" time="0.001"><failure type="failure" message="Assert.Equal() Failure"> at Shop.Tests.CartTests.Adds(Int32 n) in /src/CartTests.cs:line 12</failure></testcase><system-out/><system-err/></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "CartTests.cs:12", 0},
	"old go-junit-report":    {`<testsuites><testsuite tests="2" failures="1" time="0.150" name="example.com/shop/cart"><properties><property name="go.version" value="go1.13"></property></properties><testcase classname="cart" name="TestAdd" time="0.020"></testcase><testcase classname="cart" name="TestRemove" time="0.1"><failure message="Failed" type="">cart_test.go:11: got 1</failure></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1, Failed: 1}, 0, "", 0},
	"Eclipse":                {`<testrun name="shop" project="shop" tests="1" started="1" failures="0" errors="0" ignored="0"><testsuite name="shop.CartTest" time="0.01"><testcase name="adds" classname="shop.CartTest" time="0.01"/></testsuite></testrun>`, reports.Counts{Passed: 1}, 0, "", 0},
	"upper case":             {`<testsuite name="s"><testcase name="a"><Failure message="m"/></testcase></testsuite>`, reports.Counts{Failed: 1}, 0, "", 0},
	"status alone":           {`<testsuite name="s"><testcase name="a" status="FAILED"/><testcase name="b" result="Error"/><testcase name="c" status="Passed"/></testsuite>`, reports.Counts{Passed: 1, Failed: 2}, 0, "", 0},
	"other words":            {`<testsuite name="s"><testcase name="a" status="KO"/><testcase name="b" success="False"/><testcase name="c" result="cancelled"/><testcase name="d" success="true"/></testsuite>`, reports.Counts{Passed: 1, Failed: 3}, 0, "", 0},
	"a word that is unknown": {`<testsuite name="s"><testcase name="a" status="purple"/></testsuite>`, reports.Counts{Passed: 1}, 0, "", 1},
	"another element":        {`<testsuite name="s"><testcase name="a"><failed message="m"/></testcase><testcase name="b"><failures><failure message="m"/></failures></testcase></testsuite>`, reports.Counts{Failed: 2}, 0, "", 0},
	"PHPUnit 9, a warning":   {`<testsuites><testsuite name="CartTest" tests="1" assertions="0" errors="0" warnings="1" failures="0" skipped="0" time="0.01"><testcase name="Warning" time="0.01"><warning type="PHPUnit\Framework\Warning">No tests found in class</warning></testcase></testsuite></testsuites>`, reports.Counts{Passed: 1}, 0, "", 1},
	"CTest, tests not run": {`<testsuite name="(empty)" tests="7" failures="1" disabled="1" skipped="4" hostname="" time="1" timestamp="2026-11-29T03:44:44"><testcase name="ok" classname="ok" time="0.01" status="run"/><testcase name="bad" classname="bad" time="0.02" status="fail"><failure message=""/></testcase>
<testcase name="missing" classname="missing" time="0" status="notrun"><skipped message="Unable to find executable"/><system-out>Unable to find executable: /nowhere/exe</system-out></testcase><testcase name="files" classname="files" time="0" status="notrun"><skipped message="Required Files Missing"/></testcase>
<testcase name="dis" classname="dis" time="0" status="disabled"/><testcase name="skip" classname="skip" time="0.01" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase><testcase name="dep" classname="dep" time="0" status="notrun"><skipped message="Fixture dependency failed"/></testcase></testsuite>`, reports.Counts{Passed: 1, Failed: 4, Skipped: 2}, 0, "", 0},
	"Node, todo": {`<testsuites><testcase name="ok" time="0.1" classname="test"/><testcase name="later" time="0.1" classname="test" failure="1 == 2"><skipped type="todo" message="true"/><failure type="testCodeFailure" message="1 == 2">[Error]</failure></testcase>
<testsuite name="s" time="0.3" disabled="0" errors="0" tests="1" failures="1" skipped="1" hostname="vm"><testcase name="td" time="0.1" classname="test" failure="x"><skipped type="todo" message="true"/><failure type="testCodeFailure" message="x">[Error]</failure></testcase></testsuite>
	<!-- tests 3 -->
	<!-- pass 1 -->
	<!-- fail 0 -->
	<!-- cancelled 0 -->
	<!-- todo 2 -->
</testsuites>`, reports.Counts{Passed: 1, Skipped: 2}, 0, "", 0},
	"Node, a parent that fails": {`<testsuites><testsuite name="p" time="0.1" disabled="0" errors="0" tests="1" failures="0" skipped="0" hostname="vm"><testcase name="c" time="0.1" classname="test"/></testsuite>
	<!-- tests 2 -->
	<!-- fail 1 -->
	<!-- cancelled 0 -->
</testsuites>`, reports.Counts{Passed: 1}, 1, "", 0},
	"passed, with a failure": {`<testsuite name="s"><testcase name="a" status="passed"><failure/></testcase></testsuite>`, reports.Counts{Failed: 1}, 0, "", 0},
}

func TestFormsOfProducers(t *testing.T) {
	for name, test := range forms {
		t.Run(name, func(t *testing.T) {
			r, err := Read(strings.NewReader(test.text), "/src")
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(test.counts, r.Results.Counts()); diff != "" || r.Results.SuiteFailures() != test.failures {
				t.Errorf("%d failures outside the specs, want %d; %s", r.Results.SuiteFailures(), test.failures, diff)
			}
			if len(r.Notes) != test.notes {
				t.Errorf("notes %q, want %d", r.Notes, test.notes)
			}
			sound(t, r)
			for _, s := range r.Results.Specs {
				if s.State != reports.Failed {
					continue
				}
				if at := fmt.Sprintf("%s:%d", s.File, s.Line); test.at != "" && at != test.at {
					t.Errorf("the failure is at %s, want %s", at, test.at)
				}
				break
			}
		})
	}
}

// The suites of unittest-xml-reporting are named for the time of the run.
func TestSuitesThatAreNamedForTheirTime(t *testing.T) {
	r, err := Read(strings.NewReader(forms["unittest-xml-reporting"].text), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := "tests.test_cart.TestCart\ntest_add\n1"; r.Results.Specs[0].Key() != want {
		t.Errorf("%q, want %q", r.Results.Specs[0].Key(), want)
	}
}

func TestNextestKeepsTheTextOfAFlake(t *testing.T) {
	r, err := Read(strings.NewReader(forms["cargo nextest"].text), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Results.Specs {
		switch s.Leaf {
		case "tests::adds":
			if !strings.Contains(s.Message, "once") || s.Attempts != 2 {
				t.Errorf("%+v", s)
			}
		case "tests::removes":
			if !strings.Contains(s.Message, "assertion failed") || s.Output != "running 1 test" || s.Attempts != 2 {
				t.Errorf("%+v", s)
			}
		}
	}
}

// Files of other tools are refused with what to do.
func TestOtherXMLIsRefusedWithAdvice(t *testing.T) {
	for root, want := range otherXML {
		_, err := Read(strings.NewReader("<"+root+"><x/></"+root+">"), "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("<%s>: %v, want %q in it", root, err, want)
		}
	}
}

// The files and lines that runners of today write.
func TestWhereTheSamplesFailed(t *testing.T) {
	for name, want := range map[string]string{"pytest.xml": "t/test_cart.py:6", "vitest.xml": "cart.test.js:4", "playwright.xml": "cart.spec.js:4", "jest-suite-name.xml": "till.test.js:3", "catch2.xml": "c.cpp:3"} {
		r, err := ReadFile("testdata/producers/"+name, "/src/shop")
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, s := range r.Results.Specs {
			if s.State == reports.Failed {
				all = append(all, fmt.Sprintf("%s:%d", s.File, s.Line))
			}
		}
		if !slices.Contains(all, want) {
			t.Errorf("%s: %q, want %s", name, all, want)
		}
	}
}

// A suite of Ginkgo that failed without a failed spec has one failure, with the reason if the file
// contains one.
func TestReasonsOfGinkgoSuites(t *testing.T) {
	for properties, want := range map[string]string{
		`SuiteSucceeded=false`:             failedUnexplained,
		`SuiteSucceeded=true`:              "",
		`SuiteSucceeded=true,DryRun=true`:  dryRun,
		`SuiteSucceeded=false,DryRun=true`: dryRun,
		`SuiteSucceeded=false,SpecialSuiteFailureReason=Suite Timeout Elapsed`: "Suite Timeout Elapsed",
	} {
		for state, more := range map[string]string{"passed": "", "failed": `<failure message="m"/>`} {
			text := `<testsuites><testsuite name="s" package="/p"><properties>`
			for property := range strings.SplitSeq(properties, ",") {
				name, value, _ := strings.Cut(property, "=")
				text += fmt.Sprintf(`<property name=%q value=%q/>`, name, value)
			}
			r, err := Read(strings.NewReader(text+`</properties><testcase name="[It] a" classname="s" status="`+state+`">`+more+`</testcase></testsuite></testsuites>`), "")
			if err != nil {
				t.Errorf("%s: %v", properties, err)
				continue
			}
			var got []string
			for _, f := range r.Results.Suites[0].Failures {
				got = append(got, f.Message)
			}
			explained := state == "failed" && want == failedUnexplained // by the spec
			if strings.Join(got, "|") != want && !explained || explained && len(got) > 0 {
				t.Errorf("%s, %s: %q, want %q", properties, state, got, want)
			}
		}
	}
}

// The totals of a suite with inner suites do not show that its testcases are attempts of one spec.
func TestAttemptsAreNotAssumedNextToInnerSuites(t *testing.T) {
	const cases = `<testcase name="a"><failure message="m"/></testcase><testcase name="a"/>`
	for inner, failed := range map[string]int{"": 0, `<testsuite name="i"><testcase name="b"/></testsuite>`: 1} {
		r, err := Read(strings.NewReader(`<testsuite name="o" tests="1" failures="0">`+cases+inner+`</testsuite>`), "")
		if err != nil || r.Results.Counts().Failed != failed {
			t.Errorf("%q: %+v, %v, want %d failed", inner, r, err, failed)
		}
	}
}

// The totals of the root agree with the tests if they are the sums of what its suites count or state:
// a root has no difference of its own then.
func TestTotalsOfTheRootAreSums(t *testing.T) {
	const fails, passes = `<testcase name="a"><failure message="m"/></testcase>`, `<testcase name="a"/>`
	for name, test := range map[string]struct{ root, suite, cases, note string }{
		"attempts do not count":        {`tests="2" failures="0"`, `tests="1" failures="0"`, fails + passes, ""},
		"attempts count":               {`tests="4" failures="2"`, `tests="2" failures="1"`, fails + passes, ""},
		"suites state more tests":      {`tests="6" failures="0"`, `tests="3" failures="0"`, passes, "states 3 tests"},
		"the root states another sum":  {`tests="5" failures="0"`, `tests="1" failures="0"`, passes, `testsuites "all"`},
		"skipped tests of both suites": {`tests="2" skipped="2"`, `tests="1" skipped="1"`, `<testcase name="a"><skipped/></testcase>`, ""},
	} {
		suites := ""
		for _, suite := range []string{"s", "t"} {
			suites += `<testsuite name="` + suite + `" ` + test.suite + `>` + test.cases + `</testsuite>`
		}
		for form, text := range map[string]string{"flat": suites, "nested": `<testsuite name="outer" ` + test.root + `>` + suites + `</testsuite>`} {
			r, err := Read(strings.NewReader(`<testsuites name="all" `+test.root+`>`+text+`</testsuites>`), "")
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			differs := slices.DeleteFunc(slices.Clone(r.Notes), func(note string) bool { return !strings.HasPrefix(note, "the totals") })
			switch notes := strings.Join(differs, "\n"); {
			case !strings.Contains(notes, test.note) || (test.note == "") != (notes == ""):
				t.Errorf("%s, %s: notes %q, want %q", name, form, r.Notes, test.note)
			case test.note != `testsuites "all"` && strings.Contains(notes, `"all"`):
				t.Errorf("%s, %s: the root differs: %q", name, form, r.Notes)
			}
		}
	}
}
