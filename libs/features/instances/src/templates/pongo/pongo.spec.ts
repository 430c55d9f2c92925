import { describe, expect, it } from 'vitest';
import { renderTemplate } from './template.js';
import { mapOf, show, TemplateFunction, type Value } from './values.js';

const config = new Map<string, Value>([['user.a', 'A'], ['user.html', '<&>']]);
const names: Record<string, Value> = {
  path: '/etc/t', trigger: 'start', container: mapOf({ name: 'tt', type: 'container', privileged: 'false', ephemeral: 'false' }), instance: mapOf({ name: 'tt', type: 'container' }),
  properties: mapOf({ default: 'deflt', n: '5' }), devices: mapOf({ root: mapOf({ type: 'disk', path: '/' }) }), config,
  config_get: new TemplateFunction('config_get', 2, ([key, otherwise]) => config.get(show(key!)) ?? otherwise!),
};

/** Templates and what real LXD 5.0.2 made of them. */
describe('a template', () => {
  it.each([
    ['path={{ path }} {{ trigger }} {{ container.name }} {{ instance.type }} {{ container.nope }}|', 'path=/etc/t start tt container |'],
    ['{{ config_get("user.a", "none") }} {{ config_get("user.b", properties.default) }} {{ config_get("user.html", "x") }}', 'A deflt <&>'],
    ['{{ "<i>" }} {{ "<i>"|escape }} {{ 1.5 }} {{ true }} {{ undefinedvar }} {{ 3 > 2 }} {{ "a" in "abc" }}', '<i> &lt;i&gt; 1.500000 True  True True'],
    ['{% if config_get("user.a", "") == "" %}empty{% else %}full{% endif %}', 'full'],
    ['{% if container.privileged == "true" and not container.ephemeral %}x{% elif instance.type == "container" %}ct{% else %}y{% endif %}', 'ct'],
    ['{% for k, v in devices %}{{ k }}={{ v.type }},{{ v.path }};{% endfor %}{% for k,v in config %}{% if k == "user.a" %}{{ k }}={{ v }}{% endif %}{% endfor %}', 'root=disk,/;user.a=A'],
    ['{{ "abc"|upper }} {{ "ABC"|lower }} {{ "a b"|capfirst }} {{ ""|default:"d" }} {{ "abc"|length }} {{ "x"|add:"y" }} {{ "a,b"|split:","|join:"-" }}', 'ABC abc A b d 3 xy a-b'],
    ['{{ 5 + 3 * 2 }} {{ 7 / 2 }} {{ 7.0 / 2 }} {{ 7 % 2 }} {{ -3 }} {{ 2 ^ 3 }}', '11 3 3.500000 1 -3 8.000000'],
    ['{{ properties.n|integer + 1 }} {{ nil }} {{ 3 > 2 }} {{ not true }} {{ !true }}', '6  True False False'],
    ['{# comment #}{% comment %}gone{% endcomment %}{% with q="w" %}{{ q }}{% endwith %}{% set z = 4 %}{{ z }}', 'w4'],
    ['{% for i in "abc" %}{{ forloop.Counter }}{{ i }}{% if not forloop.Last %},{% endif %}{% endfor %}{% for x in nothing %}a{% empty %}none{% endfor %}', '1a,2b,3cnone'],
    ['{% filter upper %}shout{% endfilter %} {% firstof undefinedvar "f" %} {{ "abc"|slice:"1:2" }}', 'SHOUT f b'],
    ['a {%- if true -%}  trimmed  {%- endif -%} b', 'atrimmedb'],
    ['{{ "q\\"uote" }} {{ \'single\' }}|{{ nofunc("x") }}|', 'q"uote single||'],
    ['{% ifequal 1 1 %}eq{% endifequal %}{% ifnotequal 1 2 %}ne{% endifnotequal %}{% templatetag openblock %}{% verbatim %}{{ x }}{% endverbatim %}', 'eqne{%{{ x }}'],
    ['{% for k in properties sorted %}{{ k }}{% endfor %}{% for k in "abc" reversed %}{{ k }}{% endfor %}', 'defaultncba'],
    ['{% if "a" in "abc" && 1 < 2 || false %}in{% endif %}{% if "1" == 1 %}mixed{% else %}ne{% endif %}{% if a %}a{% endif %}{% if "false" %}truthy{% endif %}', 'innetruthy'],
    ['line 1\n{% if true %}\nline 2\n{% endif %}\n', 'line 1\n\nline 2\n\n'], ['', ''], ['{ {x} %}', '{ {x} %}'],
  ])('%j', (template, expected) => {
    expect(renderTemplate(template, names)).toBe(expected);
  });

  it.each([
    ['{{ "a-b"|replace:"-" }}', "Filter 'replace' does not exist."], ['{{ config_get("user.a") }}', "Function input argument count (2) of 'config_get' must be equal to the calling argument count (1)."],
    ['{% nosuchtag %}', "Tag 'nosuchtag' not found (or beginning tag not provided)"], ['{{ unclosed', "'}}' expected"], ['{% if true %}unclosed', 'expected tag elif or else or endif'],
    ['{% include "/etc/passwd" %}', "Usage of tag 'include' is not allowed (sandbox restriction active)."], ['{% ssi "/etc/passwd" %}', 'sandbox'], ['{% extends "x" %}', 'sandbox'], ['{% import "x" y %}', 'sandbox'],
    ['{{ "line\ntwo" }}', 'Newline in string is not allowed.'], ['{{ "a\\n" }}', 'Unknown escape sequence: \\n'], ['{{ config["user.a"] }}', 'Unknown character'], ['{{ 1 / 0 }}', 'Division by zero'],
    ['a\nb {% if %}', 'Line 2 Col'], ['{% endif %}', "Tag 'endif' not found"],
  ])('%j is refused', (template, message) => {
    expect(() => renderTemplate(template, names)).toThrow(message);
  });

  it('reaches nothing of ours', () => {
    for (const name of ['constructor', '__proto__', 'prototype', 'toString', 'process', 'globalThis', 'require']) {
      expect(renderTemplate(`{{ ${name} }}{{ container.${name} }}{{ path.${name} }}{{ config_get.${name} }}{{ properties.default.${name} }}`, names)).toBe('');
    }
  });

  it('ends, however much it was made to do', () => {
    const tens = '{% for a in "0123456789" %}';
    expect(() => renderTemplate(`${tens.repeat(8)}x${'{% endfor %}'.repeat(8)}`, names)).toThrow('too much');
    expect(() => renderTemplate(`{% set s = "0123456789" %}${'{% set s = s + s %}'.repeat(20)}`, names)).toThrow('too long');
    expect(() => renderTemplate(`{% set s = "0123456789" %}${'{% set s = s + s %}'.repeat(14)}${'{{ s }}'.repeat(20)}`, names)).toThrow('too much');
    expect(() => renderTemplate(`${'{% if true %}'.repeat(100)}x${'{% endif %}'.repeat(100)}`, names)).toThrow('nested too deeply');
    expect(() => renderTemplate(`{{ ${'('.repeat(5000)}1${')'.repeat(5000)} }}`, names)).toThrow('nested too deeply');
    expect(() => renderTemplate(`{{ ${'not '.repeat(5000)}1 }}`, names)).toThrow('nested too deeply');
    expect(renderTemplate('{{ "x"|ljust:999999999 }}', names).length).toBeLessThan(5000);
  });
});
