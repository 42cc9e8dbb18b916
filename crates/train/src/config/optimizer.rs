//! Which optimiser moves which parameters, and how fast.
//!
//! Three groups have a learning rate of their own: the trunk, the embedding head, and the parameters of the loss (proxies,
//! class weights). Weight decay spares norms and biases, which have one dimension; every such parameter is found by its rank.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, LionConfig, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The update rule, with the constants that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RuleConfig {
    /// Stochastic gradient descent, `m ← momentum·m + g`.
    Sgd {
        /// Share of the running direction kept each step; 0 for none.
        #[serde(default = "momentum")]
        momentum: f64,
        /// Looks one step ahead (Nesterov 1983).
        #[serde(default)]
        nesterov: bool,
    },
    /// Adam (Kingma & Ba 2015), decay added to the gradient.
    Adam {
        /// Memory of the mean gradient.
        #[serde(default = "beta_1")]
        beta_1: f32,
        /// Memory of the mean squared gradient.
        #[serde(default = "beta_2")]
        beta_2: f32,
        /// What is added to the root of the mean squared gradient. The paper and torch have 1e-8; burn's 1e-5 stands here, which
        /// shortens the steps of parameters with gradients below it.
        #[serde(default = "epsilon")]
        epsilon: f32,
    },
    /// Adam with decay applied to the weights themselves (Loshchilov & Hutter 2019).
    AdamW {
        /// Memory of the mean gradient.
        #[serde(default = "beta_1")]
        beta_1: f32,
        /// Memory of the mean squared gradient.
        #[serde(default = "beta_2")]
        beta_2: f32,
        /// As Adam's.
        #[serde(default = "epsilon")]
        epsilon: f32,
    },
    /// The sign of an interpolated momentum (Chen et al. 2023).
    Lion,
    /// Gradient over its running root mean square (Tieleman & Hinton 2012).
    RmsProp,
}

fn momentum() -> f64 {
    0.9
}

fn beta_1() -> f32 {
    0.9
}

fn beta_2() -> f32 {
    0.999
}

fn epsilon() -> f32 {
    1e-5
}

/// Optimiser, rates and decay of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// The update rule.
    pub rule: RuleConfig,
    /// Learning rate of the trunk.
    pub trunk_rate: f64,
    /// Learning rate of the embedding head.
    pub head_rate: f64,
    /// Learning rate of the loss's own parameters (proxies, centres, class weights), before the factor that some losses ask for.
    pub loss_rate: f64,
    /// Weight decay on everything but norms and biases.
    pub weight_decay: f32,
    /// Largest norm of the whole gradient; longer ones are shortened to it. 0 for no bound.
    pub clip_norm: f64,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            rule: RuleConfig::Adam {
                beta_1: beta_1(),
                beta_2: beta_2(),
                epsilon: epsilon(),
            },
            trunk_rate: 1e-3,
            head_rate: 1e-3,
            loss_rate: 1e-3,
            weight_decay: 0.0,
            clip_norm: 0.0,
        }
    }
}

impl OptimizerConfig {
    /// An optimiser for one module: decayed weights by default, norms and biases without decay.
    pub fn init<M: Module>(&self, module: &M) -> ModuleOptimizer {
        let undecayed = ParamGroup::from_ids(one_dimensional(module));
        let decay = (self.weight_decay > 0.0).then(|| WeightDecayConfig::new(self.weight_decay));
        match self.rule {
            RuleConfig::Sgd { momentum, nesterov } => {
                let plain = SgdConfig::new().with_momentum((momentum > 0.0).then(|| {
                    MomentumConfig::new()
                        .with_momentum(momentum)
                        .with_dampening(0.0)
                        .with_nesterov(nesterov)
                }));
                let decayed = plain.clone().with_weight_decay(decay);
                decayed.init().with_group(undecayed, plain.build(), None)
            }
            RuleConfig::Adam {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let plain = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
                let plain = plain.with_epsilon(epsilon);
                let decayed = plain.clone().with_weight_decay(decay);
                decayed.init().with_group(undecayed, plain.build(), None)
            }
            RuleConfig::AdamW {
                beta_1,
                beta_2,
                epsilon,
            } => {
                let plain = AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
                let plain = plain.with_epsilon(epsilon);
                let decayed = plain.clone().with_weight_decay(self.weight_decay);
                let plain = plain.with_weight_decay(0.0);
                decayed.init().with_group(undecayed, plain.build(), None)
            }
            RuleConfig::Lion => {
                let decayed = LionConfig::new().with_weight_decay(self.weight_decay);
                let plain = LionConfig::new().with_weight_decay(0.0);
                decayed.init().with_group(undecayed, plain.build(), None)
            }
            RuleConfig::RmsProp => {
                // burn adds a momentum of 0.9 where nothing is said.
                let plain = RmsPropConfig::new().with_momentum(0.0);
                let decayed = plain.clone().with_weight_decay(decay);
                decayed.init().with_group(undecayed, plain.build(), None)
            }
        }
    }

    /// Checks that every setting is within its bounds.
    ///
    /// # Errors
    /// A sentence that names the field, its value and the bound.
    pub fn validate(&self) -> Result<(), String> {
        let numbers = [
            ("trunk_rate", self.trunk_rate),
            ("head_rate", self.head_rate),
            ("loss_rate", self.loss_rate),
            ("weight_decay", f64::from(self.weight_decay)),
            ("clip_norm", self.clip_norm),
        ];
        for (field, value) in numbers {
            if !(value.is_finite() && value >= 0.0) {
                return Err(format!("optimizer.{field} is {value}, must be at least 0"));
            }
        }
        match self.rule {
            RuleConfig::Sgd { momentum, nesterov } => {
                memory("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(
                        "optimizer.rule.nesterov is true, which needs optimizer.rule.momentum above 0"
                            .into(),
                    );
                }
            }
            RuleConfig::Adam {
                beta_1,
                beta_2,
                epsilon,
            }
            | RuleConfig::AdamW {
                beta_1,
                beta_2,
                epsilon,
            } => {
                memory("beta_1", f64::from(beta_1))?;
                memory("beta_2", f64::from(beta_2))?;
                if !(epsilon > 0.0 && epsilon.is_finite()) {
                    return Err(format!(
                        "optimizer.rule.epsilon is {epsilon}, must be a number above 0"
                    ));
                }
            }
            RuleConfig::Lion | RuleConfig::RmsProp => {}
        }
        Ok(())
    }
}

/// A share of what was that is kept each step: all of it would never move.
fn memory(field: &str, share: f64) -> Result<(), String> {
    match (0.0..1.0).contains(&share) {
        true => Ok(()),
        false => Err(format!(
            "optimizer.rule.{field} is {share}, must be at least 0 and below 1"
        )),
    }
}

/// Norms and biases: the parameters of one dimension.
fn one_dimensional<M: Module>(module: &M) -> Vec<ParamId> {
    struct Collect(Vec<ParamId>);
    impl ModuleVisitor for Collect {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(param.id);
            }
        }
    }
    let mut collect = Collect(Vec::new());
    module.visit(&mut collect);
    collect.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_that_would_never_move_or_run_away_are_refused() {
        let check = |rule| {
            OptimizerConfig {
                rule,
                ..OptimizerConfig::default()
            }
            .validate()
        };
        let sgd = |momentum, nesterov| check(RuleConfig::Sgd { momentum, nesterov });
        assert_eq!(sgd(0.9, true), Ok(()));
        assert!(sgd(-0.9, false).unwrap_err().contains("momentum is -0.9"));
        assert!(sgd(1.5, false).unwrap_err().contains("momentum is 1.5"));
        assert!(sgd(0.0, true).unwrap_err().contains("nesterov"));
        let adam = |beta_2, epsilon| {
            check(RuleConfig::Adam {
                beta_1: 0.9,
                beta_2,
                epsilon,
            })
        };
        assert_eq!(adam(0.999, 1e-8), Ok(()));
        assert!(adam(1.0, 1e-8).unwrap_err().contains("beta_2 is 1"));
        assert!(adam(0.9, 0.0).unwrap_err().contains("epsilon is 0"));
    }
}
