//! How the messages of a call are encoded: as `tonic_prost` does, with little room at first.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

/// Bytes that are made room for when a call begins to answer, and again when they are used up.
///
/// A stream that tells little keeps them for as long as it is open. 8 KiB, as tonic has it, is a
/// quarter of what an idle stream costs.
const ROOM: usize = 512;
/// Encoded bytes after which a stream hands on what it has; as tonic has it.
const HAND_ON: usize = 32 * 1024;

/// Encodes messages of type `T`, and decodes messages of type `U`.
#[derive(Clone, Debug)]
pub(crate) struct CallCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for CallCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Message + Send + 'static, U: Message + Default + Send + 'static> Codec for CallCodec<T, U> {
    type Encode = T;
    type Decode = U;
    type Encoder = <ProstCodec<T, U> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, U> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(BufferSettings::new(ROOM, HAND_ON))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::raw_decoder(BufferSettings::default())
    }
}
