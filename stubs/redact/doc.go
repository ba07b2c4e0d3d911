// Package redact takes secrets out of texts before they are stored, compared or shown.
//
// A [Redactor] finds a secret by
//
//   - the name in front of it: DB_PASS=…, "apiKey": "…", --token …, <password>…</password>,
//     {Password:… Token:…}, IDENTIFIED BY '…', the lines of .netrc, .pgpass and .npmrc;
//   - the program or the function that takes it: mysql -p…, echo … | docker login --password-stdin,
//     login("bob", "…"), SetPassword("…"), t.Setenv("API_KEY", "…"); the table is in commandtable.go;
//   - the column, block or sentence that it stands in: INSERT INTO u (password) VALUES ('…'), the
//     data of a Secret of Kubernetes, "password was changed from … to …";
//   - its own form: the prefixes that providers document, private keys, JSON Web Tokens,
//     authorization headers and cookies, passwords and signatures in URLs;
//   - its randomness, which is the weakest sign and is therefore not applied to fields that
//     hold identifiers and digests;
//   - having been found before: a value that one text gives away by its name is looked for
//     in every later text, also percent-encoded ([Redactor.Know]).
//
// In the place of a secret it writes "[redacted:rule]". Text around it is not touched: JSON
// stays JSON with the same order and spacing, a number stays a number, and what was base64 or
// percent-encoded stays so. Redacting twice gives the same text as redacting once.
//
// JSON, JSON Lines, the data lines of event streams, base64 and percent-encoding are opened,
// also within each other, up to 8 levels deep. What is encoded deeper is replaced as a whole.
// The work is bounded by a constant times the length of the text, whatever it holds.
//
// A secret that looks like an ordinary word and has no telling name next to it is not found.
// Name such values with [Redactor.Know].
package redact
