'use strict';
// Shows openapi.json, as this server answers it. Texts go into the page as texts alone, never as markup.

const methods = ['get', 'post', 'put', 'delete'];

// element makes one with attributes and children; strings become text.
function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) e.setAttribute(key, value);
  e.append(...children.filter((c) => c !== null && c !== undefined && c !== ''));
  return e;
}

// resolve follows a reference into the document.
function resolve(api, schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.split('/').slice(1).reduce((o, name) => o[name], api);
}

// typeOf says in words what a schema takes.
function typeOf(api, schema) {
  const s = resolve(api, schema);
  const types = [].concat(s.type || 'any');
  if (types.includes('array')) return 'list of ' + typeOf(api, s.items);
  let text = types.join(' or ');
  if (schema.$ref) text = schema.$ref.split('/').pop();
  if (s.format && s.format !== 'int64') text += ' (' + s.format + ')';
  return text;
}

// bounds says in words what else holds for a value.
function bounds(s) {
  const words = [];
  if (s.enum) words.push('one of ' + s.enum.join(', '));
  if (s.minimum !== undefined) words.push('at least ' + s.minimum);
  if (s.maximum !== undefined) words.push('at most ' + s.maximum);
  if (s.minLength !== undefined) words.push('at least ' + s.minLength + ' characters');
  if (s.maxLength !== undefined) words.push('at most ' + s.maxLength + ' characters');
  if (s.pattern) words.push('matching ' + s.pattern);
  return words.join('; ');
}

// rowsOf lists the fields of a schema, those of objects in it below them. seen ends what refers to itself.
function rowsOf(api, schema, depth, seen) {
  let s = resolve(api, schema);
  if (s.items) {
    schema = s.items;
    s = resolve(api, schema);
  }
  if (!s.properties || (schema.$ref && seen.includes(schema.$ref))) return [];
  seen = schema.$ref ? seen.concat(schema.$ref) : seen;
  return Object.keys(s.properties).flatMap((name) => {
    const property = s.properties[name];
    const label = element('code', {}, name);
    const cell = element('td', {}, label, (s.required || []).includes(name) && depth >= 0 ? ' *' : '');
    if (depth > 0) cell.className = 'deep';
    cell.style.setProperty('padding-left', depth * 1.2 + 'rem');
    const inner = resolve(api, property.items || property);
    const says = [bounds(resolve(api, property)), property.description || inner.description || ''].filter(Boolean).join('. ');
    return [element('tr', {}, cell, element('td', {}, typeOf(api, property)), element('td', {}, says))]
      .concat(rowsOf(api, property, depth + 1, seen));
  });
}

function table(head, rows) {
  return element('table', {}, element('thead', {}, element('tr', {}, ...head.map((h) => element('th', {}, h)))), element('tbody', {}, ...rows));
}

// body shows what is sent or answered: an example, and the fields.
function body(api, title, content) {
  const parts = [];
  for (const [kind, media] of Object.entries(content || {})) {
    parts.push(element('h3', {}, title + ' (' + kind + ')'));
    if (media.example !== undefined) {
      const text = typeof media.example === 'string' ? media.example : JSON.stringify(media.example, null, 2);
      parts.push(element('pre', { tabindex: '0' }, text));
    }
    const rows = rowsOf(api, media.schema || {}, 0, []);
    if (rows.length) {
      parts.push(element('details', {}, element('summary', {}, 'Fields'), element('div', {}, table(['Field (* mandatory)', 'Type', ''], rows))));
    }
  }
  return parts;
}

function operation(api, path, method, op) {
  const head = element('summary', {}, element('span', { class: 'method ' + method }, method.toUpperCase()), element('code', {}, path),
    element('span', { class: 'says' }, op.summary || ''));
  const inside = element('div', {});
  const shown = element('details', { id: op.operationId }, head, inside);
  shown.dataset.words = [method, path, op.operationId, op.summary].join(' ').toLowerCase();
  // What is inside is made when somebody looks.
  shown.addEventListener('toggle', () => {
    if (!shown.open || inside.hasChildNodes()) return;
    if (op.description) inside.append(element('p', {}, op.description));
    if (op.parameters && op.parameters.length) {
      inside.append(element('h3', {}, 'Parameters'), table(['Name', 'In', 'Type', ''], op.parameters.map((p) => element('tr', {},
        element('td', {}, element('code', {}, p.name), p.required ? ' *' : ''), element('td', {}, p.in),
        element('td', {}, typeOf(api, p.schema)), element('td', {}, p.description || '')))));
    }
    inside.append(...body(api, 'Request', (op.requestBody || {}).content));
    for (const [status, answer] of Object.entries(op.responses || {})) {
      const title = status === 'default' ? 'Error' : 'Answer ' + status;
      const parts = body(api, title, answer.content);
      if (!parts.length) parts.push(element('h3', {}, title));
      parts.splice(1, 0, element('p', {}, answer.description || ''));
      inside.append(...parts);
    }
  });
  return shown;
}

function show(api) {
  document.getElementById('title').textContent = api.info.title + ' API ' + api.info.version;
  document.getElementById('about').prepend((api.info.description || '') + ' ');
  const tags = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of methods.filter((m) => item[m])) {
      const tag = (item[method].tags || ['other'])[0];
      if (!tags.has(tag)) tags.set(tag, []);
      tags.get(tag).push(operation(api, path, method, item[method]));
    }
  }
  const main = document.getElementById('operations');
  const nav = document.getElementById('tags');
  main.replaceChildren();
  for (const [tag, operations] of tags) {
    nav.append(element('a', { href: '#tag-' + tag }, tag));
    main.append(element('section', {}, element('h2', { id: 'tag-' + tag }, tag), ...operations));
  }
  const wanted = document.getElementById('wanted');
  wanted.addEventListener('input', () => {
    const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of main.children) {
      let any = false;
      for (const o of section.querySelectorAll('details[id]')) {
        o.hidden = !words.every((w) => o.dataset.words.includes(w));
        any = any || !o.hidden;
      }
      section.hidden = !any;
    }
  });
  const asked = document.getElementById(location.hash.slice(1));
  if (asked) {
    if (asked.tagName === 'DETAILS') asked.open = true;
    asked.scrollIntoView();
  }
}

fetch('openapi.json')
  .then((answer) => {
    if (!answer.ok) throw new Error('the server answers ' + answer.status);
    return answer.json();
  })
  .then(show)
  .catch((error) => {
    document.getElementById('operations').replaceChildren(element('p', {}, 'The document cannot be shown: ' + error.message));
  });
