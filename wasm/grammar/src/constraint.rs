//! Constraints as `workers/contracts/constraint.ts` has them, compiled.

use llguidance::api::TopLevelGrammar;
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    JsonSchema,
    JsonObject,
    Regex,
    Choice,
    Lark,
}

/// What a text must be.
#[derive(Deserialize)]
pub struct Constraint {
    kind: Kind,
    text: String,
}

impl Constraint {
    /// Of its JSON.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(json).map_err(|error| error.to_string())
    }

    /// A text that has not begun.
    pub fn matcher(&self, factory: &ParserFactory) -> Result<Matcher, String> {
        let mut matcher = Matcher::new(factory.create_parser(self.grammar()?));
        match matcher.get_error() {
            Some(message) => Err(message),
            // What the library only warns of is not held to.
            None => match matcher.grammar_warnings().into_iter().next() {
                Some(warning) => Err(warning),
                None => Ok(matcher),
            },
        }
    }

    /// The same grammars that vLLM makes for its backend `guidance`.
    fn grammar(&self) -> Result<TopLevelGrammar, String> {
        Ok(match self.kind {
            Kind::JsonSchema => json_grammar(serde_json::from_str(&self.text).map_err(|error| error.to_string())?)?,
            Kind::JsonObject => json_grammar(json!({ "type": "object" }))?,
            Kind::Regex => TopLevelGrammar::from_regex(&self.text),
            Kind::Choice => {
                let texts: Vec<Value> = serde_json::from_str(&self.text).map_err(|error| error.to_string())?;
                let texts: Vec<String> = texts.iter().map(Value::to_string).collect();
                TopLevelGrammar::from_lark(format!("start: {}", texts.join(" | ")))
            }
            Kind::Lark => TopLevelGrammar::from_lark(self.text.clone()),
        })
    }
}

/// Without white space between values: where any may come, a small model may write nothing else.
fn json_grammar(schema: Value) -> Result<TopLevelGrammar, String> {
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        Value::Bool(false) => return Err("the schema is false, which nothing fits".to_owned()),
        schema => schema,
    };
    let Value::Object(_) = schema else { return Err("a schema is an object, true or false".to_owned()) };
    JsonCompileOptions { whitespace_flexible: false, ..JsonCompileOptions::default() }.apply_to(&mut schema);
    Ok(TopLevelGrammar::from_json_schema(schema))
}
