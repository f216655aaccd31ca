// Shows what openapi.json says. All text goes in as text: nothing of it can become a part of the page.

const search = document.getElementById("search");
const login = document.getElementById("login");
const contents = document.getElementById("contents");
const operations = document.getElementById("operations");
const METHODS = ["get", "post", "put", "delete"];
const TOKEN = "token";

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

async function load() {
  const token = sessionStorage.getItem(TOKEN);
  const response = await fetch("openapi.json", token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  const answer = await response.json();
  login.hidden = response.ok;
  if (response.ok) show(answer);
  else login.querySelector("output").textContent = token || response.status !== 401 ? answer.detail : "";
}

function show(description) {
  const schemas = description.components.schemas;
  const shown = Object.entries(description.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => method in methods).map((method) => section(method, path, methods[method], schemas)),
  );
  contents.replaceChildren(...shown.map(({ link }) => link));
  operations.replaceChildren(...shown.map(({ body }) => body));
  search.addEventListener("input", () => filter(shown));
  filter(shown);
  document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

function filter(shown) {
  const words = search.value.toLowerCase().split(/\s+/);
  for (const { link, body } of shown) {
    const text = body.textContent.toLowerCase();
    link.hidden = body.hidden = !words.every((word) => text.includes(word));
  }
}

function section(method, path, operation, schemas) {
  const id = operation.operationId;
  const role = operation.security.flatMap((one) => one.token).join() || "open to all";
  const name = `${method.toUpperCase()} ${path}`;
  const parameters = operation.parameters ?? [];
  const body = operation.requestBody?.content["application/json"]?.schema;
  return {
    link: element("a", { href: `#${id}`, title: operation.summary ?? "" }, name),
    body: element(
      "section",
      { id },
      element("h2", {}, element("code", {}, name), " ", element("span", { className: "role" }, role)),
      element("p", {}, [operation.summary, operation.description].filter(Boolean).join(". ")),
      ...titled("Parameters", parameters.length && table(parameters.map((one) => [one.name, one.in, one, one.schema]))),
      ...titled("Body", body && fields(body, schemas)),
      ...titled("Request", element("pre", {}, curl(method, path, body && resolve(body, schemas)))),
      ...titled("Answers", ...replies(operation.responses, schemas)),
    ),
  };
}

function titled(title, ...parts) {
  return parts[0] ? [element("h3", {}, title), ...parts] : [];
}

function replies(responses, schemas) {
  const known = Object.entries(responses);
  const refused = known.filter(([status]) => status >= 400).map(([status, { description }]) => `${status} ${description}`);
  return [
    ...known.filter(([status]) => status < 400).map(([status, one]) => reply(status, one, schemas)),
    element("p", { className: "quiet" }, `Refused with ${refused.join(", ")}`),
  ];
}

function reply(status, response, schemas) {
  const types = Object.entries(response.content ?? {});
  const named = types.map(([type, { schema }]) => (schema ? `${typeOf(schema)} (${type})` : type)).join(", ");
  const line = `${status} ${response.description}${named ? `: ${named}` : ""}`;
  const schema = types[0]?.[1].schema;
  const hasFields = schema && resolve(schema, schemas).properties;
  return hasFields ? element("details", {}, element("summary", {}, line), fields(schema, schemas)) : element("div", {}, line);
}

function fields(schema, schemas) {
  const { properties = {}, required = [], description } = resolve(schema, schemas);
  const rows = Object.entries(properties).map(([name, one]) => [name, required.includes(name) ? "required" : "", one, one]);
  return element("div", {}, element("p", {}, description ?? ""), table(rows));
}

function table(rows) {
  const cells = rows.map(([name, note, about, schema]) => [
    element("code", {}, name),
    [typeOf(schema), note].filter(Boolean).join(", "),
    [about.description, limits(schema)].filter(Boolean).join(" "),
  ]);
  return element("table", {}, ...cells.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell)))));
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms) return [...new Set(forms.map(typeOf))].join(" or ");
  if (schema.enum) return schema.enum.join(" or ");
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  return schema.format ?? schema.type ?? "any";
}

function limits({ default: usual, minimum, maximum, maxLength }) {
  const said = [
    minimum !== undefined && `at least ${minimum}`,
    maximum !== undefined && `at most ${maximum}`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    usual !== undefined && usual !== null && `default ${JSON.stringify(usual)}`,
  ].filter(Boolean);
  return said.length ? `(${said.join(", ")})` : "";
}

function resolve(schema, schemas) {
  return schema.$ref ? schemas[schema.$ref.split("/").pop()] : schema;
}

function curl(method, path, body) {
  const example = body?.examples?.[0];
  const options = [
    ...(method === "get" ? [] : ["-X", method.toUpperCase()]),
    '-H "Authorization: Bearer $GATEWAY_TOKEN"',
    ...(example ? ["--json", `'${JSON.stringify(example)}'`] : []),
  ];
  return `curl ${options.join(" ")} ${location.origin}${path}`;
}

login.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, login.elements.token.value);
  load();
});
load();
