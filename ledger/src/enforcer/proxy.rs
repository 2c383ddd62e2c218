//! The node's JSON-RPC with the enforcer's own transactions and blocks in it. Every other question goes to the node.

use bitcoin::consensus::Decodable;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Block, Denomination, OutPoint, Target, Transaction, Txid};
use serde_json::{Value, json};

use super::pool::no;
use super::{Enforcer, Said, template};
use crate::{Fault, rule};

/// Parameters are wrong; bytes are none of what they should be.
const INVALID: i64 = -8;
const NOT_DECODED: i64 = -22;
const WARMING_UP: i64 = -28;
/// The node's number for whatever else.
const MISC: i64 = -1;
/// How often the chain may move while one template is made.
const TRIES: usize = 10;

impl Enforcer {
    /// Answers a request, of one question or several, as the node would: in JSON.
    pub fn answer(&self, request: &Value) -> String {
        match request {
            Value::Array(several) if several.iter().any(is_own) => {
                let answers: Vec<String> = several.iter().map(|one| self.answer_one(one)).collect();
                format!("[{}]", answers.join(","))
            }
            one => self.answer_one(one),
        }
    }

    fn answer_one(&self, request: &Value) -> String {
        match self.own(request) {
            Ok(Some(result)) => envelope(request, &result, &Value::Null),
            Ok(None) => self.hand_on(request).unwrap_or_else(|said| refusal(request, &said)),
            Err(said) => refusal(request, &said),
        }
    }

    /// Byte for byte: numbers are not read and written again.
    fn hand_on(&self, request: &Value) -> Result<String, Said> {
        let bytes = self.node.hand_on(request)?;
        String::from_utf8(bytes).map_err(|_| no(MISC, "the node's answer is no text"))
    }

    /// What the enforcer says itself, in JSON; `None` where the node has the word.
    fn own(&self, request: &Value) -> Result<Option<String>, Said> {
        if !is_own(request) {
            return Ok(None);
        }
        let none = Vec::new();
        let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
        let params = match request.get("params") {
            Some(Value::Array(params)) => params,
            None | Some(Value::Null) => &none,
            Some(_) => return Err(no(INVALID, format!("{method} takes its parameters by position here"))),
        };
        match method {
            "getexponentinfo" => Ok(Some(self.info())),
            "sendrawtransaction" => self.send(params),
            "testmempoolaccept" => self.test(params),
            "getrawmempool" => self.list(params),
            "getrawtransaction" => Ok(self.transaction(params)),
            "gettxout" => Ok(self.output(params)),
            "getblocktemplate" => self.template(params),
            _ => self.submit(params).map(|said| Some(said.to_string())),
        }
    }

    fn info(&self) -> String {
        let checked = self.checked();
        let (height, hash) = (checked.height.to_u32(), checked.hash);
        let unmined = self.pool().entries().len();
        json!({ "enforcing": true, "checked_height": height, "checked_hash": hash, "unmined": unmined })
            .to_string()
    }

    fn send(&self, params: &[Value]) -> Result<Option<String>, Said> {
        let tx: Transaction = decoded(params.first())?;
        let taken = self.pool().take(&self.node, &tx)?;
        Ok(taken.map(|txid| json!(txid).to_string()))
    }

    fn test(&self, params: &[Value]) -> Result<Option<String>, Said> {
        let one = params.first().and_then(Value::as_array).map(Vec::as_slice);
        let Some([one]) = one else { return Ok(None) };
        let tx: Transaction = decoded(Some(one))?;
        let pool = self.pool();
        let outcome = match pool.get(&tx.compute_txid()) {
            Some(_) => Err(no(MISC, "txn-already-in-mempool")),
            None => pool.check(&self.node, &tx),
        };
        let (txid, wtxid) = (tx.compute_txid(), tx.compute_wtxid());
        let told = match outcome {
            Ok(None) => return Ok(None),
            Ok(Some(_)) => json!({ "txid": txid, "wtxid": wtxid, "allowed": true, "vsize": tx.vsize() }),
            Err(Said::No { message, .. }) => {
                json!({ "txid": txid, "wtxid": wtxid, "allowed": false, "reject-reason": message })
            }
            Err(other) => return Err(other),
        };
        Ok(Some(json!([told]).to_string()))
    }

    /// The plain list; with details the node's alone.
    fn list(&self, params: &[Value]) -> Result<Option<String>, Said> {
        if params.iter().any(|param| param.as_bool() == Some(true)) {
            return Ok(None);
        }
        let mut listed: Vec<Txid> = self.node.ask("getrawmempool", params)?;
        listed.extend(self.pool().entries().iter().map(|entry| entry.txid));
        Ok(Some(json!(listed).to_string()))
    }

    fn transaction(&self, params: &[Value]) -> Option<String> {
        let txid: Txid = params.first()?.as_str()?.parse().ok()?;
        let hex = serialize_hex(&self.pool().get(&txid)?.tx);
        let detailed = |how: &Value| how.as_bool() == Some(true) || how.as_u64() > Some(0);
        let told = if params.get(1).is_some_and(detailed) {
            json!({ "txid": txid, "hex": hex })
        } else {
            json!(hex)
        };
        Some(told.to_string())
    }

    /// What an unmined transaction of the pool spends is spent, and what it makes is there.
    fn output(&self, params: &[Value]) -> Option<String> {
        let txid: Txid = params.first()?.as_str()?.parse().ok()?;
        let vout = u32::try_from(params.get(1)?.as_u64()?).ok()?;
        if params.get(2).and_then(Value::as_bool) == Some(false) {
            return None;
        }
        let (tip, pool) = (self.checked().hash, self.pool());
        if pool.spends(&OutPoint::new(txid, vout)) {
            return Some("null".to_owned());
        }
        let made = pool.get(&txid)?.tx.output.get(vout as usize)?;
        // As nodes write amounts: eight places, never with an exponent.
        let (value, hex) =
            (made.value.to_string_in(Denomination::Bitcoin), made.script_pubkey.to_hex_string());
        Some(format!(
            r#"{{"bestblock":"{tip}","confirmations":0,"value":{value},"scriptPubKey":{{"hex":"{hex}"}},"coinbase":false}}"#
        ))
    }

    /// The node's template with the pool's transactions, on a block that was checked.
    fn template(&self, params: &[Value]) -> Result<Option<String>, Said> {
        if params.first().is_some_and(|request| request.get("mode") == Some(&json!("proposal"))) {
            return Ok(None);
        }
        for _ in 0..TRIES {
            let template = self.node.template(params)?;
            self.follow(&mut |_| ())?;
            if template.get("previousblockhash") == Some(&json!(self.checked().hash)) {
                let with = template::with(template, self.pool().entries());
                let with = with.map_err(|error| no(MISC, format!("the node's template: {error}")))?;
                return Ok(Some(with.to_string()));
            }
        }
        Err(no(MISC, "the chain moves too fast for a template: ask again"))
    }

    /// As BIP22 has it: null for a block that was taken, else why not.
    fn submit(&self, params: &[Value]) -> Result<Value, Said> {
        let block: Block = decoded(params.first())?;
        if block.header.validate_pow(Target::from_compact(block.header.bits)).is_err() {
            return Ok(json!("high-hash"));
        }
        if let Some(broken) = self.offence(&block)? {
            return Ok(json!(format!("op-exponent, {broken}")));
        }
        let said: Value = self.node.ask("submitblock", params)?;
        // Whatever it was, the node's chain may have moved.
        self.follow(&mut |_| ())?;
        Ok(said)
    }

    /// What is wrong with a block, as far as it can be known before it is connected: the rest is found then.
    fn offence(&self, block: &Block) -> Result<Option<rule::Broken>, Said> {
        for tx in block.txdata.iter().filter(|tx| rule::concerns(tx)) {
            let mut spent = Vec::with_capacity(tx.input.len());
            for input in &tx.input {
                let OutPoint { txid, vout } = input.previous_output;
                let inside = block.txdata.iter().find(|other| other.compute_txid() == txid);
                let output = match inside {
                    Some(parent) => parent.output.get(vout as usize).cloned(),
                    None => self.node.mined_output(&input.previous_output)?,
                };
                spent.extend(output);
            }
            if let Err(broken) = rule::check(tx, &spent) {
                return Ok(Some(broken));
            }
        }
        Ok(None)
    }
}

/// Whether the enforcer has a say in it.
fn is_own(request: &Value) -> bool {
    const OWN: [&str; 8] = [
        "getexponentinfo",
        "sendrawtransaction",
        "testmempoolaccept",
        "getrawmempool",
        "getrawtransaction",
        "gettxout",
        "getblocktemplate",
        "submitblock",
    ];
    request.get("method").and_then(Value::as_str).is_some_and(|method| OWN.contains(&method))
}

fn decoded<T: Decodable>(param: Option<&Value>) -> Result<T, Said> {
    let hex = param.and_then(Value::as_str).ok_or_else(|| no(INVALID, "hexadecimal text is needed"))?;
    deserialize_hex(hex).map_err(|error| no(NOT_DECODED, error.to_string()))
}

fn refusal(request: &Value, said: &Said) -> String {
    let (code, message) = match said {
        Said::No { code, message } => (*code, message.clone()),
        // Whoever asks comes again, as with a node that starts.
        Said::Ledger(error) if error.fault() == Fault::Backend => (WARMING_UP, error.to_string()),
        Said::Ledger(error) => (MISC, error.to_string()),
    };
    envelope(request, "null", &json!({ "code": code, "message": message }))
}

fn envelope(request: &Value, result: &str, error: &Value) -> String {
    let id = request.get("id").unwrap_or(&Value::Null);
    format!(r#"{{"result":{result},"error":{error},"id":{id}}}"#)
}
