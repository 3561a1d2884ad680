// A tenure store for node: the law of rows in memory, and the conformance protocol on stdin and stdout.
//   tenure conform -- node store.mjs [FILE]          with FILE it keeps its state there, and can be reopened
import { createInterface } from 'node:readline'
import { isDeepStrictEqual as same } from 'node:util'
import { readFileSync, writeFileSync } from 'node:fs'
const FILE = process.argv[2], ABILITIES = ['load', 'dense', 'surrogates', 'fence_log']
let db, s // all that the store holds, as plain JSON; the store's clock, in ms

const fenced = { is: 'fenced' }, refused = reason => ({ is: 'refused', reason })
const unless = (bad, then) => bad ? refused(bad) : then()
const ok = (is, fields) => ({ is: 'succeeded', reply: { is, ...fields } })
const stamped = (is, row, fields) => ok(is, { stamp: { token: row.token, version: row.version, at: row.changed_at }, ...fields })
const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) // which is the order of UTF-8, too
const byKey = (a, b) => byCodePoint(a.key, b.key)

// --- what is refused for good ---
const unstorable = text => text.includes('\0') || !text.isWellFormed()
const badText = text => [...text].length > db.limits.name ? 'name_too_long' : unstorable(text) ? 'bad_text' : ''
const badName = text => /^((?!\ufeff)[\s\x1c-\x1f\x85])*$/.test(text) ? 'blank' : badText(text)
const tooLarge = text => unstorable(text) ? 'bad_text' : Buffer.byteLength(text) > db.limits.payload ? 'too_large' : ''
const reserved = type => type.startsWith('process.') ? 'reserved_event' : ''
const badEvent = r => reserved(r.type) || badName(r.type) || badName(r.key) || tooLarge(r.payload)
const badOutcome = ({ is, ...texts }) => tooLarge(Object.values(texts).join(''))

// --- rows ---
const idOf = row => row.registration.id, find = id => db.records.find(row => idOf(row) === id)
const now = row => Math.max(s, row.changed_at)
const live = row => row.held && now(row) < row.expires_at // the expiry is exclusive
const lastLease = (row, f) => row.token === f.token && same(row.claim, f.claim)
const holds = (row, f) => !row.outcome && row.held && lastLease(row, f)
const change = (row, fields) => Object.assign(row, { changed_at: now(row), version: ++db.number }, fields)
const end = (row, outcome, by, more) => change(row, { held: false, events: row.events + 1, outcome, ended_by: by, ...more })
const cancelled = reason => ({ is: 'cancelled', reason, control: 'null' })
const ended = (is, row) => stamped(is, row, { outcome: row.outcome })
const logged = (row, event) => stamped('event_appended', row, { seq: event.seq })
const eventOf = (row, key) => db.events.find(e => e.process_id === idOf(row) && e.key === key)
const entry = (row, type, payload, key) => ({ process_id: idOf(row), seq: row.events, type, payload, key, at: row.changed_at })
const append = (row, { type, payload }, key, token) => {
  const event = { ...entry(change(row, { events: row.events + 1 }), type, payload, key), token }
  return db.events.push(event) && logged(row, event)
}
const once = (row, r, key, token, bad, known = eventOf(row, key)) => known ? logged(row, known) : unless(bad, () => append(row, r, key, token))

// --- requests under a lease: replay, terminal, fence, earlier key, in this order ---
const underLease = {
  renew(r, row) {
    if (!holds(row, r.fence) || !live(row)) return fenced
    change(row, { expires_at: Math.max(row.expires_at, now(row) + r.ttl) })
    return stamped('renewed', row, { expires_at: row.expires_at, cancel: row.cancel })
  },
  record_effect({ fence, key, fingerprint, result }, row) {
    const known = db.effects.find(e => e.process_id === idOf(row) && e.key === key), agrees = known?.fingerprint === fingerprint
    const recorded = result => stamped('effect_recorded', row, { result })
    if (agrees && known.token === fence.token) return recorded(known.result)
    if (!holds(row, fence) || !live(row)) return fenced
    if (known) return agrees ? recorded(known.result) : refused('effect_mismatch')
    return unless(badName(key) || badText(fingerprint) || tooLarge(result), () => {
      const { version } = change(row, { lost: 0 })
      db.effects.push({ process_id: fence.process_id, key, fingerprint, result, token: fence.token, version })
      return recorded(result)
    })
  },
  emit_event(r, row) {
    const known = eventOf(row, 'h:' + r.key)
    if (known?.token !== r.fence.token && !holds(row, r.fence)) return fenced
    return once(row, r, 'h:' + r.key, row.token, badEvent(r) || (row.registration.event_types.includes(r.type) ? '' : 'undeclared_event'))
  },
  complete({ fence, outcome }, row) {
    if (row.ended_by === 'complete' && lastLease(row, fence))
      return same(row.outcome, outcome) ? ended('completed', row) : refused('conflict')
    return holds(row, fence) ? unless(badOutcome(outcome), () => ended('completed', end(row, outcome, 'complete'))) : fenced
  },
  release({ fence, delay }, row) {
    if (lastLease(row, fence) && !row.held && [null, 'release'].includes(row.ended_by)) return ended('released', row)
    if (!holds(row, fence)) return fenced
    if (row.cancel !== null) return ended('released', end(row, cancelled(row.cancel), 'release'))
    return ended('released', change(row, { ready_at: now(row) + delay, held: false, lost: 0 }))
  },
}

// --- claims ---
const wait = k => k <= 1 ? 0 : Math.min(db.limits.takeover_cap, db.limits.takeover_wait * 2 ** (k - 2))
const free = row => !live(row) && (row.held ? row.expires_at + wait(row.lost + 1) : row.ready_at) <= now(row)
const claimable = ({ profile, kinds, exclude }) => row => !unclaimable(row) && kinds.includes(row.registration.input.kind) &&
  ['', profile].includes(row.registration.provenance.host_profile_id) && !exclude.includes(idOf(row))
const fenceOf = row => ({ process_id: idOf(row), claim: row.claim, token: row.token })
const claimed = rows => ok('claimed', { grants: rows.map(record => ({ fence: fenceOf(record), record })), epoch: 1 })
const claim = (r, choose) => unless(badName(r.claim.owner), () => {
  const noted = db.claims.find(([id]) => id.owner === r.claim.owner), last = noted ? noted[0].n : 0
  if (r.claim.n < last) return note(r.process_id ?? '', r.is, r.claim.n, last, r.claim.owner)
  const carrying = row => !row.outcome && live(row) && same(row.claim, r.claim)
  if (r.claim.n === last) return claimed(db.records.filter(carrying).sort((a, b) => a.token - b.token))
  const rows = choose()
  if (!Array.isArray(rows)) return refused(rows)
  const lease = row => ({ token: db.number + 1, claim: r.claim, held: true, expires_at: now(row) + r.ttl })
  for (const row of rows) change(row, { ...lease(row), claims: row.claims + 1, lost: row.held ? row.lost + 1 : row.lost })
  if (rows.length) db.claims = [...db.claims.filter(one => one !== noted), [r.claim, s]]
  return claimed(rows)
})
const unclaimable = row => !row ? 'not_found' : row.outcome ? 'ended' : row.registration.input.is === 'external' ? 'external'
  : live(row) ? 'held' : free(row) ? '' : 'not_ready'

// --- everything else ---
const page = (items, r) => items.slice(0, r.limit)
const onRow = rule => r => find(r.process_id) ? rule(r, find(r.process_id)) : refused('not_found')
const phase = row => row.outcome ? 'ended' : live(row) ? 'running' : 'pending'
const note = (process_id, is, stale, current, owner) => db.notes.push({
  process_id, request: is.replace(/(?:^|_)(.)/g, (_, letter) => letter.toUpperCase()), stale, current, owner, at: s,
}) && fenced
const status = row => ({ success: 'succeeded', failure: 'failed', cancelled: 'cancelled' })[row.outcome.is]
const told = row => ({ process_id: idOf(row), status: status(row), version: row.version, token: row.token, at: row.changed_at })
const terminal = row => { // the last event is kept in the row; its payload is the outcome as canonical JSON
  const { control, value, raw, ...o } = row.outcome
  const texts = Object.entries({ status: status(row), reason: o.reason, class: o.failure_class, code: o.code, message: o.message })
  const bodies = Object.entries({ value, raw, control: control === 'null' ? undefined : control }) // JSON already
  const parts = [...texts.map(([key, text]) => [key, JSON.stringify(text)]), ...bodies]
  const payload = `{${parts.filter(([, json]) => json !== undefined).sort().map(([key, json]) => `"${key}":${json}`)}}`
  return { ...entry(row, 'process.ended', payload, 'r:ended'), token: row.token }
}
const owned = r => row => [null, row.registration.provenance.owner_scope].includes(r.owner_scope)
const endings = (r, of) => page(db.records.filter(row => row.outcome && row.version > r.after && of(row)).sort((a, b) => a.version - b.version), r)
const rules = {
  claim_next: r => claim(r, () => page(db.records.filter(claimable(r.filter)).sort((a, b) => a.ready_at - b.ready_at || a.seq - b.seq), r)),
  claim: r => claim(r, () => unclaimable(find(r.process_id)) || [find(r.process_id)]),
  register({ registration, delay }) {
    const { id, event_types, input: { kind, payload, metadata }, provenance: { owner_scope, host_profile_id } } = registration
    const known = find(id), names = [id, kind ?? 'external', ...event_types]
    if (known && !same(known.registration, registration)) return refused('conflict')
    const bad = names.map(badName).find(Boolean) || badText(owner_scope) || badText(host_profile_id) || tooLarge(payload ?? metadata)
    return unless(bad || event_types.map(reserved).find(Boolean), () => {
      const row = known ?? {
        registration, seq: ++db.number, version: db.number, changed_at: s, ready_at: s + delay, token: 0, claim: null, held: false,
        expires_at: 0, cancel: null, claims: 0, lost: 0, events: 0, outcome: null, ended_by: null, authority: '',
      }
      if (!known) db.records.push(row)
      return stamped('registered', row, { seq: row.seq })
    })
  },
  append_event: onRow((r, row) => once(row, r, 'c:' + r.key, 0, row.outcome ? 'ended' : badEvent(r))),
  request_cancel: onRow(({ reason }, row) => unless(row.outcome ? '' : tooLarge(reason), () => {
    const idle = !row.outcome && !live(row), asked = { type: 'process.cancel_requested', payload: JSON.stringify({ reason }) }
    if (!row.outcome && row.cancel === null) append(Object.assign(row, { cancel: reason }), asked, 'r:cancel', 0)
    return ended('cancel_accepted', idle ? end(row, cancelled(row.cancel), 'cancel') : row)
  })),
  complete_external: onRow(({ authority, outcome }, row) => {
    if (row.registration.input.is !== 'external') return refused('not_external')
    if (row.outcome) return row.authority === authority && same(row.outcome, outcome) ? ended('completed', row) : refused('conflict')
    return unless(badName(authority) || badOutcome(outcome), () => ended('completed', end(row, outcome, 'external', { authority })))
  }),
  prune(r) {
    const cutoff = s - Math.max(r.older_than, db.limits.retry_horizon)
    const gone = page(db.records.filter(row => row.outcome && row.changed_at < cutoff), r).map(idOf)
    for (const kind of ['records', 'events', 'effects']) db[kind] = db[kind].filter(one => !gone.includes(one.process_id ?? idOf(one)))
    db.claims = db.claims.filter(([, at]) => at >= cutoff)
    return ok('pruned', { count: gone.length })
  },
  get: onRow((r, record) => ok('got', { record })),
  list(r) {
    const wanted = row => [null, phase(row)].includes(r.phase) && [null, row.registration.input.kind ?? ''].includes(r.kind) && owned(r)(row)
    const found = db.records.filter(row => row.seq > r.after && wanted(row))
    return ok('listed', { records: page(found, r), next: found.length > r.limit ? found[r.limit - 1].seq : null })
  },
  read_events: onRow((r, row) => {
    const all = [...db.events.filter(e => e.process_id === r.process_id), ...(row.outcome ? [terminal(row)] : [])]
    const events = page(all.filter(e => e.seq > r.after), r)
    return ok('events_read', { events, ended: row.outcome !== null && (events.at(-1)?.seq ?? r.after) >= row.events })
  }),
  read_effects(r) {
    const effects = page(db.effects.filter(e => e.process_id === r.process_id && byCodePoint(e.key, r.after) > 0).sort(byKey), r)
    return ok('effects_read', { effects, next: effects.length === r.limit ? effects.at(-1).key : null })
  },
  read_owner_events: r => unless(badName(r.owner_scope), () => ok('owner_events_read', { events: endings(r, owned(r)).map(told) })),
  read_endings: r => ok('endings_read', { latest: db.number, endings: endings(r, () => true).map(row => [row.version, idOf(row)]) }),
  read_cancels: r => ok('cancels_read', { cancels: page(
    db.records.filter(row => row.held && row.cancel !== null && row.claim.owner === r.owner).map(row => [idOf(row), row.token, row.cancel]), r) }),
  read_fence_log: r => ok('fence_log_read', { notes: page(db.notes.toReversed(), r), total: db.notes.length }),
}
for (const [name, rule] of Object.entries(underLease)) rules[name] = r => {
  const row = find(r.fence.process_id), answer = row ? rule(r, row) : fenced
  if (answer === fenced || answer.reason === 'conflict') note(r.fence.process_id, r.is, r.fence.token, row?.token ?? 0, r.fence.claim.owner)
  return answer
}

// --- the protocol: a line in, a line out ---
const keep = state => (FILE && writeFileSync(FILE, JSON.stringify(state)), db = state, { is: 'done' })
const commands = {
  hello: () => ({ is: 'greeting', protocol: 1, store: 'store.mjs', can: FILE ? [...ABILITIES, 'reopen'] : ABILITIES }),
  new: ({ limits }) => keep({ records: [], events: [], effects: [], claims: [], notes: [], number: 0, limits }),
  load: ({ state }) => keep({ ...state, notes: [] }),
  reopen: () => keep(JSON.parse(readFileSync(FILE))),
  execute({ now, requests }) {
    s = now
    const answers = requests.map(r => structuredClone(rules[r.is](r))) // copies, since rows go on changing
    return keep(db) && { is: 'answers', answers }
  },
}
createInterface({ input: process.stdin }).on('line', line => {
  const command = JSON.parse(line)
  process.stdout.write(JSON.stringify(commands[command.is](command)) + '\n')
})
