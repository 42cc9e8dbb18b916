//! `--device`: where the numbers are computed, chosen when the program runs among what was built in.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(all(feature = "cpu", feature = "device"))]
mod default;
#[cfg(feature = "device")]
mod kernels;
mod remote;
mod token;

use std::fmt;
use std::str::FromStr;

use anyhow::Result;
use burn::tensor::Device;

use self::remote::Address;
pub(crate) use self::token::token;
use crate::resources::nvidia_model;

/// A device as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DeviceName {
    /// One of this machine.
    Local(Local),
    /// `remote:ws://HOST:PORT`, the one that a `lodestone serve-device` there computes on.
    Remote(Address),
}

/// A device of this machine: `cpu`, `wgpu`, `vulkan`, `cuda`, each with an optional `:index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Local {
    kind: Kind,
    index: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpu,
    Wgpu,
    Vulkan,
    Cuda,
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("remote:") {
            Some(address) => Ok(Self::Remote(address.parse()?)),
            None => Ok(Self::Local(text.parse()?)),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(local) => write!(f, "{local}"),
            Self::Remote(address) => write!(f, "remote:{address}"),
        }
    }
}

impl DeviceName {
    /// What a user should know who waits for the first numbers of it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        let compiles = matches!(self, Self::Local(local) if matches!(local.kind, Kind::Wgpu | Kind::Vulkan | Kind::Cuda));
        compiles.then_some(
            "kernels that are not kept from an earlier start are compiled and chosen first, which can take minutes",
        )
    }

    /// The name, with the model of the card where it is known, as a table of results says it.
    pub(crate) fn with_model(&self) -> String {
        let model = match self {
            Self::Local(local) if local.kind == Kind::Cuda => nvidia_model(),
            _ => None,
        };
        model.map_or_else(|| self.to_string(), |model| format!("{self} ({model})"))
    }

    /// Whether it is the processor of this machine.
    pub(crate) fn is_cpu(&self) -> bool {
        matches!(self, Self::Local(local) if local.kind == Kind::Cpu)
    }
}

impl FromStr for Local {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => {
                let number = index
                    .parse()
                    .map_err(|_| format!("`{index}` is not a device number"))?;
                (kind, Some(number))
            }
            None => (text, None),
        };
        let kind = match kind {
            "cpu" => Kind::Cpu,
            "wgpu" => Kind::Wgpu,
            "vulkan" => Kind::Vulkan,
            "cuda" => Kind::Cuda,
            other => {
                return Err(format!(
                    "`{other}` is none of cpu, wgpu, vulkan, cuda, remote:ws://HOST:PORT"
                ));
            }
        };
        if kind == Kind::Cpu && index.is_some_and(|index| index > 0) {
            return Err("there is one cpu device: cpu or cpu:0".into());
        }
        Ok(Self { kind, index })
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        self.index.map_or(Ok(()), |index| write!(f, ":{index}"))
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::Cpu, Self::Wgpu, Self::Vulkan, Self::Cuda];

    /// Also the name of the cargo feature that builds it in.
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Cuda => "cuda",
        }
    }

    fn is_built_in(self) -> bool {
        match self {
            Self::Cpu => cfg!(feature = "cpu"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Vulkan => cfg!(feature = "vulkan"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}

/// Names of the devices of this machine that this binary can use.
pub(crate) fn built_in() -> Vec<&'static str> {
    Kind::ALL
        .into_iter()
        .filter(|kind| kind.is_built_in())
        .map(Kind::name)
        .collect()
}

/// Names of those that it cannot use.
pub(crate) fn missing() -> Vec<&'static str> {
    let all = Kind::ALL.into_iter();
    all.filter(|kind| !kind.is_built_in())
        .map(Kind::name)
        .collect()
}

impl DeviceName {
    /// The device, without gradients. A remote one is connected to, with the token of [`token()`].
    ///
    /// # Errors
    /// If the binary was built without it; the error names the feature to build with. If a remote one does not answer, or
    /// refuses the token.
    pub(crate) fn open(&self) -> Result<Device> {
        match self {
            Self::Local(local) => local.open(),
            #[cfg(feature = "remote")]
            Self::Remote(address) => address.connect(token(None)?),
            #[cfg(not(feature = "remote"))]
            Self::Remote(_) => Err(not_built_in(self, "remote")),
        }
    }

    /// The same for a run that goes on: where it is no GPU of this machine, none is asked, built in as one may be. To be called
    /// before anything else of the command, which may begin anew with it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_to_resume(&self) -> Result<Device> {
        #[cfg(all(feature = "cpu", feature = "device"))]
        if self.is_cpu() || matches!(self, Self::Remote(_)) {
            default::make_cpu()?;
        }
        self.open()
    }
}

impl Local {
    fn open(self) -> Result<Device> {
        #[cfg(feature = "device")]
        if self.kind != Kind::Cpu {
            kernels::keep();
        }
        match self.kind {
            #[cfg(feature = "cpu")]
            Kind::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Kind::Wgpu => Ok(Device::wgpu(self.adapter())),
            #[cfg(feature = "vulkan")]
            Kind::Vulkan => Ok(Device::vulkan(self.adapter())),
            #[cfg(feature = "cuda")]
            Kind::Cuda => {
                let index = self.index.unwrap_or(0);
                cuda::check(index)?;
                Ok(Device::cuda(index))
            }
            #[allow(
                unreachable_patterns,
                reason = "with every feature on, nothing is left"
            )]
            missing => Err(not_built_in(&self, missing.name())),
        }
    }

    #[cfg(feature = "wgpu")]
    fn adapter(self) -> burn::tensor::DeviceKind {
        use burn::tensor::DeviceKind;
        self.index
            .map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu)
    }
}

/// Says which cargo feature `device` comes with.
fn not_built_in(device: &dyn fmt::Display, feature: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "device `{device}` is not built in (this binary has: {}); build with --features {feature}",
        built_in().join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_shown_alike() {
        for name in [
            "cpu",
            "wgpu",
            "vulkan:1",
            "cuda:3",
            "remote:ws://127.0.0.1:3000",
            "remote:ws://gpu-2.example:80",
            "remote:ws://[::1]:3000",
        ] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn mistakes_name_what_was_given() {
        let cases = [
            ("gpu", "`gpu` is none of cpu, wgpu, vulkan, cuda"),
            ("cuda:x", "`x` is not a device number"),
            ("cpu:1", "there is one cpu device"),
            ("remote", "`remote` is none of"),
            ("remote:gpu:3000", "`gpu:3000` is not ws://HOST:PORT"),
        ];
        for (name, expected) in cases {
            let error = name.parse::<DeviceName>().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_device_that_is_not_built_in_names_the_feature() {
        let cases = [
            ("cuda:0", "cuda", cfg!(feature = "cuda")),
            ("remote:ws://[::1]:1", "remote", cfg!(feature = "remote")),
        ];
        for (name, feature, _) in cases.iter().filter(|(_, _, built_in)| !built_in) {
            let device: DeviceName = name.parse().unwrap();
            let error = device.open().unwrap_err().to_string();
            for part in [
                format!("device `{name}` is not built in"),
                format!("--features {feature}"),
            ] {
                assert!(error.contains(&part), "{error}");
            }
        }
    }
}
