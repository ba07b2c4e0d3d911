package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flujo/flujo-harness/cmd/flujo-harness/internal/cli"
	"github.com/flujo/flujo-harness/reports/ingest"
)

// resultFile is a result file to read.
type resultFile struct {
	path  string // "-" is standard input
	found bool   // found in a folder, so that it may be something else
}

// resultExtensions are the extensions that a folder is searched for, each also with .gz.
var resultExtensions = ingest.Extensions()

// resultFiles returns the files for names of files, patterns, and folders, without hidden files
// in them. It is an error if a name gives no file.
func resultFiles(named []string) ([]resultFile, error) {
	var files []resultFile
	for _, name := range named {
		if name == "-" {
			files = append(files, resultFile{path: name})
			continue
		}
		paths := []string{name}
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(name, "*?[") {
			if paths, err = filepath.Glob(name); err != nil {
				return nil, cli.Usage(fmt.Errorf("ingest %s: %w: see the rules of patterns, or name the files", name, err))
			}
			paths = slices.DeleteFunc(paths, func(path string) bool { return strings.HasPrefix(filepath.Base(path), ".") }) // as in a shell
			if len(paths) == 0 {
				return nil, cli.Fault(fmt.Errorf("ingest %s: no file matches: see where the test runner writes its results", name))
			}
		}
		for _, path := range paths {
			below, err := resultFilesBelow(path)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
	}
	return files, nil
}

func resultFilesBelow(path string) ([]resultFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, cli.Fault(fmt.Errorf("ingest %w: see where the test runner writes its results", err))
	}
	if !info.IsDir() {
		return []resultFile{{path: path}}, nil
	}
	var files []resultFile
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.Type().IsRegular() && slices.Contains(resultExtensions, filepath.Ext(strings.TrimSuffix(strings.ToLower(d.Name()), ".gz"))) {
			files = append(files, resultFile{path: name, found: true})
		}
		return nil
	})
	if err != nil {
		return nil, cli.Fault(fmt.Errorf("ingest %s: %w", path, err))
	}
	if len(files) == 0 {
		return nil, cli.Fault(fmt.Errorf("ingest %s: no file below it ends in %s or one of them with .gz", path, strings.Join(resultExtensions, ", ")))
	}
	return files, nil
}

// passedOver reports whether err only means that a file found in a folder is not a result file.
func (f resultFile) passedOver(err error) bool {
	return f.found && errors.Is(err, ingest.ErrUnknownFormat)
}
