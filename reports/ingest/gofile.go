package ingest

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// goFolders finds the folders of the Go modules at, below and next to a root.
type goFolders struct {
	root    string
	folders map[string]string // absolute folders by module path
	found   map[string]string // cached results, by package and name
	all     bool              // whether all modules below and next to the root were searched for
}

// goFile returns the path, relative to the root and with slashes, of a Go file that a message of a
// package names: by its base name, its import path, or the path at compile time. It returns "" if
// the file does not exist below or next to the root, because the folder of a package may differ
// from its import path, and the message may come from another checkout.
func (c *collector) goFile(pkg, name string) string {
	if filepath.IsAbs(name) {
		return c.relative(name)
	}
	if c.root == "" {
		return ""
	}
	if c.folders == nil {
		c.folders = &goFolders{root: c.root, folders: map[string]string{}, found: map[string]string{}}
		c.folders.add(c.root)
	}
	return c.folders.file(pkg, name)
}

func (f *goFolders) file(pkg, name string) string {
	key := pkg + "\n" + name
	if file, known := f.found[key]; known {
		return file
	}
	name = path.Clean(strings.ReplaceAll(name, `\`, "/"))
	in := path.Join(pkg, name) // a base name, so a file of the package
	if strings.Contains(name, "/") {
		in = name // an import path, written with -trimpath
	}
	file := f.lookup(in)
	if file == "" && strings.Contains(name, "/") {
		file = f.relative(filepath.Join(f.root, filepath.FromSlash(name))) // a path at compile time
	}
	f.found[key] = file
	return file
}

// lookup finds a file by import path.
func (f *goFolders) lookup(name string) string {
	for {
		for module := name; module != "." && module != "/"; module = path.Dir(module) {
			if folder, known := f.folders[module]; known {
				if file := f.relative(filepath.Join(folder, filepath.FromSlash(strings.TrimPrefix(name, module)))); file != "" {
					return file
				}
			}
		}
		if f.all {
			return ""
		}
		f.all = true
		f.workspace()
		f.below()
	}
}

// relative returns the path of an existing file relative to the root.
func (f *goFolders) relative(file string) string {
	if info, err := os.Stat(file); err != nil || info.IsDir() {
		return ""
	}
	rel, err := filepath.Rel(f.root, file)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(rel)
}

// add adds the module of a folder, if it is the root of one.
func (f *goFolders) add(folder string) {
	text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return
	}
	module := modfile.ModulePath(text)
	if _, known := f.folders[module]; !known && module != "" {
		f.folders[module] = folder
	}
}

// workspace adds the modules of the go.work in the root or above.
func (f *goFolders) workspace() {
	for folder := f.root; ; folder = filepath.Dir(folder) {
		text, err := os.ReadFile(filepath.Join(folder, "go.work"))
		if err == nil {
			work, err := modfile.ParseWork("go.work", text, nil)
			if err != nil {
				return // an invalid go.work: go test reports it
			}
			for _, use := range work.Use {
				dir := filepath.FromSlash(use.Path)
				if !filepath.IsAbs(dir) {
					dir = filepath.Join(folder, dir)
				}
				f.add(dir)
			}
			return
		}
		if folder == filepath.Dir(folder) {
			return
		}
	}
}

// maxFolders is the maximum number of files and folders that are searched for modules.
const maxFolders = 50_000

// below adds the modules in folders below the root, with the exceptions of the go command.
func (f *goFolders) below() {
	seen := 0
	_ = filepath.WalkDir(f.root, func(name string, d os.DirEntry, err error) error { // unreadable folders are skipped
		if seen++; seen > maxFolders {
			return filepath.SkipAll
		}
		switch base := filepath.Base(name); {
		case err != nil:
		case d.IsDir() && name != f.root && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "vendor" || base == "testdata" || base == "node_modules"):
			return filepath.SkipDir
		case base == "go.mod":
			f.add(filepath.Dir(name))
		}
		return nil
	})
}
