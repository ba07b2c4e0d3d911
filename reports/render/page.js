(function () {
  'use strict';
  var root = document.documentElement;
  root.classList.add('js');
  document.querySelectorAll('.js-only').forEach(function (e) { e.hidden = false; });

  var say = document.getElementById('say');
  var fields = { q: document.getElementById('q'), kind: document.getElementById('kind'), owner: document.getElementById('owner') };
  var items = Array.from(document.querySelectorAll('[data-f]'));
  var groups = Array.from(document.querySelectorAll('details.group'));
  var opened = groups.map(function (g) { return g.open; });
  var texts = null; // of the items, made when first needed

  // The filter lives in the fragment: "#q=resume&kind=broke". A fragment without "="
  // is a place on the page.
  function params() {
    var h = location.hash.slice(1);
    return new URLSearchParams(h.indexOf('=') < 0 ? '' : h);
  }

  function matches(item, i, p, q) {
    if (q && texts[i].indexOf(q) < 0) { return false; }
    return ['kind', 'cell', 'owner'].every(function (name) {
      var want = p.get(name), have = item.getAttribute('data-' + name);
      return !want || have === want;
    });
  }

  function apply() {
    var p = params(), q = (p.get('q') || '').toLowerCase();
    var active = ['q', 'kind', 'cell', 'owner'].some(function (n) { return p.get(n); });
    Object.keys(fields).forEach(function (n) {
      if (fields[n] && fields[n] !== document.activeElement) { fields[n].value = p.get(n) || ''; }
    });
    if (q && !texts) { texts = items.map(function (e) { return e.textContent.toLowerCase(); }); }
    var shown = 0;
    items.forEach(function (item, i) {
      var show = !active || matches(item, i, p, q);
      item.hidden = !show;
      if (show) { shown++; }
    });
    groups.forEach(function (g, i) {
      var some = g.querySelector('[data-f]:not([hidden])') !== null;
      g.hidden = active && !some;
      g.open = active ? some : opened[i];
    });
    say.textContent = active ? shown + ' of ' + items.length + ' entries match' + (p.get('cell') ? ': ' + p.get('cell').replace('-', ' before, ') + ' now' : '') + '. Esc shows all.' : '';
  }

  function put(name, value) {
    var p = params();
    if (value) { p.set(name, value); } else { p.delete(name); }
    if (name !== 'q') { p.delete('cell'); }
    var text = p.toString();
    history.replaceState(null, '', text ? '#' + text : location.pathname + location.search);
    apply();
  }

  function clear() {
    history.replaceState(null, '', location.pathname + location.search);
    Object.keys(fields).forEach(function (n) { if (fields[n]) { fields[n].value = ''; } });
    apply();
  }

  Object.keys(fields).forEach(function (n) {
    if (fields[n]) { fields[n].addEventListener('input', function () { put(n, fields[n].value); }); }
  });
  document.getElementById('clear').addEventListener('click', clear);
  window.addEventListener('hashchange', function () {
    apply();
    if (params().get('cell')) { document.getElementById('specs').scrollIntoView(); }
  });

  function step(by) {
    var all = Array.from(document.querySelectorAll('article.item:not([hidden])'));
    if (!all.length) { return; }
    var at = all.indexOf(document.activeElement);
    var next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next.focus();
  }

  document.addEventListener('keydown', function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey) { return; }
    if (e.key === 'Escape') { clear(); if (document.activeElement) { document.activeElement.blur(); } return; }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) { return; }
    if (e.key === '/') { e.preventDefault(); fields.q.focus(); fields.q.select(); }
    if (e.key === 'j') { step(1); }
    if (e.key === 'k') { step(-1); }
  });

  function copied(button, text) {
    button.textContent = 'copied';
    say.textContent = 'Copied: ' + text;
    setTimeout(function () { button.textContent = 'copy'; }, 1500);
  }
  function byHand(text) {
    var area = document.createElement('textarea');
    area.value = text;
    document.body.appendChild(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  document.addEventListener('click', function (e) {
    var button = e.target.closest('button.copy');
    if (!button) { return; }
    var text = button.getAttribute('data-copy');
    if (!navigator.clipboard) { byHand(text); copied(button, text); return; }
    navigator.clipboard.writeText(text).catch(function () { byHand(text); }).then(function () { copied(button, text); });
  });

  window.addEventListener('beforeprint', function () {
    document.querySelectorAll('details.with-print').forEach(function (d) { d.open = true; });
  });

  var live = root.getAttribute('data-live');
  if (live) {
    var source = new EventSource(live);
    source.addEventListener('run', function () { location.reload(); });
    source.onerror = function () { say.textContent = 'The server does not answer: the page is as it was.'; };
  }

  apply();
})();
